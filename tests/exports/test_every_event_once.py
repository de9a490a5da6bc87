"""Rule 1: whatever happens to an export, every record captured since its start is in exactly one window."""

from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.ingest import ingest
from exports import actions, again, ledger_check, tick
from exports.delivery import ledger, worker
from exports.delivery.lease import claim
from exports.models import Export, Frequency, Shard
from exports.spec import ExportSpec, spec_of
from exports_portal.common.errors import Refused
from projects.actions import edit_project
from tests.exports.conftest import ANN, now, today, unique
from tests.exports.requests_out import request_out, settle
from tests.exports.transactions import late_rows

ACTS = (
    "capture", "capture", "late_begin", "late_commit", "late_rollback", "boundary", "run_now", "hours", "later", "live",
    "recurring", "zone", "stop_and_continue", "work", "work", "die", "die_with_a_request_out", "wake_up",
    "hours_go_by", "clock_steps_back",
)  # fmt: skip
# Berlin, St John's and Lord Howe (by half an hour) change their clocks in the days of the story, or soon after.
ZONES = ("Asia/Kolkata", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC")
BEGIN = datetime(2026, 10, 24, 15, 0, tzinfo=UTC)  # ten hours before Berlin's long night


class Story:
    """One export and what happens to it. `captured` counts the records that must arrive, each in one window."""

    def __init__(self, kind: str, project: Any, integration: Any, stack: ExitStack) -> None:
        self.kind, self.project, self.stack = kind, project, stack
        self.clock = stack.enter_context(time_machine.travel(BEGIN))
        spec = ExportSpec(integration.pk, "recurring", type=kind, every_hours=4, start_date=today(project))
        self.export = actions.create_export(project=project, spec=spec, by=ANN, now=now())
        self.captured, self.late, self.zone = 0, [], 0
        self.asleep: list[Any] = []

    def capture(self) -> None:
        record = {"identity": f"person-{self.captured % 3}", "ts": int(now().timestamp())}
        if self.kind == "events":
            record |= {"type": "event", "evtName": "Opened"}
        else:
            record |= {"type": "profile", "profileData": {"Captured": self.captured}}
        ingest(project=self.project, records=[record] * 3, now=now())
        self.captured += 3

    def late_begin(self) -> None:
        if self.captured:
            self.late.append(self.stack.enter_context(late_rows(self.kind, 2)))

    def late_commit(self) -> None:
        if self.late:
            self.late.pop().commit()
            self.captured += 2

    def late_rollback(self) -> None:
        if self.late:
            self.late.pop().rollback()

    def boundary(self) -> None:
        Export.objects.filter(next_run_at__isnull=False).update(next_run_at=now() - timedelta(seconds=1))
        tick.tick(now=now())

    def run_now(self) -> None:
        try:
            actions.run_now(export=self.export, by=ANN, now=now())
        except Refused:
            assert self.reads() or self.export.frequency == Frequency.LIVE

    def edit(self, **changes: Any) -> None:
        self.export.refresh_from_db()
        spec = ExportSpec(**{**vars(spec_of(self.export)), **changes})
        self.export = actions.edit_export(export=self.export, spec=spec, version=None, by=ANN, now=now())

    def hours(self) -> None:
        if self.export.frequency == Frequency.RECURRING:
            self.edit(every_hours=24 if self.export.every_hours == 4 else 4, start_date=today(self.project))

    def later(self) -> None:
        if self.export.frequency == Frequency.RECURRING:
            self.edit(every_hours=8, start_date=today(self.project) + timedelta(days=1))

    def live(self) -> None:
        self.edit(frequency="live", every_hours=None, start_date=None)

    def recurring(self) -> None:
        self.edit(frequency="recurring", every_hours=6, start_date=today(self.project))

    def zone_moves(self) -> None:
        self.zone += 1
        zone = ZONES[self.zone % len(ZONES)]
        edit_project(project=self.project, name="Shop", timezone=zone, by=ANN, now=now())
        self.export.refresh_from_db()

    def stop_and_continue(self) -> None:
        actions.stop_export(export=self.export, by=ANN, now=now())
        self.export = again.continue_export(export=self.export, by=ANN, now=now())

    def work(self) -> None:
        tick.tick(now=now())
        for shard in Shard.objects.filter(open=True, idle=False):
            worker.work(shard.pk)

    def die(self) -> None:
        """A worker took a shard and was killed before it did anything; its lease has run out."""
        for shard in Shard.objects.filter(open=True):
            claim(shard.pk)
        self.leases_run_out()

    def die_with_a_request_out(self) -> None:
        """A worker was killed, or fell asleep, when Amplitude had taken its batch; its lease has run out."""
        tick.wake(now=now())  # a shard that rests is not claimed
        for shard in Shard.objects.filter(open=True, reading=True, idle=False, lease_until=None):
            self.asleep.append(request_out(shard))
        self.leases_run_out()

    def wake_up(self) -> None:
        """One of those only slept: it settles, unless another worker has taken the shard since."""
        if self.asleep:
            with suppress(ledger.LeaseLost):
                settle(*self.asleep.pop())

    def leases_run_out(self) -> None:
        Shard.objects.exclude(lease_until=None).update(lease_until="2026-01-01T00:00Z")

    def hours_go_by(self) -> None:
        self.clock.move_to(now() + timedelta(hours=7))
        tick.tick(now=now())

    def clock_steps_back(self) -> None:
        """Never to before the export's start: what is received then is not owned by it."""
        self.clock.move_to(max(BEGIN, now() - timedelta(hours=3)))

    def reads(self) -> bool:
        return self.export.runs.active().filter(reading=True).exists()

    def finish(self) -> None:
        while self.late:
            self.late_commit()
        for _ in range(4):
            self.boundary()
            self.work()


@pytest.mark.parametrize("kind", ["events", "user_profiles"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.sampled_from(ACTS), min_size=5, max_size=25))
@pytest.mark.usefixtures("transactional_db")
def test_every_captured_record_is_in_exactly_one_window(project, integration, sandbox, kind, acts):
    _clear(sandbox)
    with ExitStack() as stack:
        story = Story(kind, project, integration, stack)
        for act in acts:
            getattr(story, "zone_moves" if act == "zone" else act)()
        story.finish()
    assert len(unique(sandbox)) == story.captured
    assert sum(Shard.objects.values_list("delivered", flat=True)) == story.captured
    with ledger_check.one_snapshot():
        assert [report.differences for report in ledger_check.check() if report.differences] == []


def _clear(sandbox: Any) -> None:
    """Hypothesis runs all its examples within one test: each begins with an empty log and sandbox."""
    sandbox.reset()
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE exports_export, events_event, events_profilechange, events_person, events_eventname CASCADE"
        )
