"""What a project keeps no longer is deleted: all of it, nothing that is still needed, and the ledger stays true."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from django.db.models import Min

from events import erasure, rollup
from events.models import Event, ProfileChange
from exports import actions, again, lifecycle, rejected, retention, totals
from exports import erasure as exports_erasure
from exports.models import Export, Held, PurgedRuns, Rejected, Run, Shard, Skipped
from exports_portal.common import audit
from exports_portal.common.audit import PORTAL
from exports_portal.common.errors import Refused
from exports_portal.common.models import AuditEntry
from projects.models import Project
from tests.exports.conftest import ANN, check, deliver, now, skip_waits, unique, work_once

LATER = timedelta(days=100)
SOME_ROWS = 7  # in one step


@pytest.fixture
def keep(project: Project) -> Any:
    """keep(events=62) sets the project's policy."""

    def set_policy(**days: int) -> None:
        Project.objects.filter(pk=project.pk).update(**{f"keep_{name}_days": value for name, value in days.items()})

    return set_policy


def purge(at: datetime | None = None) -> dict[str, int]:
    """What was deleted, 100 days from now, of the only project."""
    rollup.roll_up_all()
    totals.add_up()
    found = retention.purge(now=at or now() + LATER, step_rows=SOME_ROWS)
    assert found.is_complete
    return dict(next(iter(found.counts.values()), {}))


def cycle(export: Export, *, slices: int = 50) -> Export:
    """A run of a recurring export for what came since the last one."""
    actions.run_now(export=export, by=ANN, now=now())
    return deliver(export, slices=slices)


def test_without_a_policy_everything_stays(capture, one_time, sandbox):
    capture(20)
    deliver(one_time())
    assert purge() == {}


def test_old_events_and_profile_updates_go_and_young_ones_stay(keep, capture, capture_profiles):
    capture(20)
    capture_profiles({f"person-{n}": {"City": "Pune"} for n in range(10)})
    keep(events=62)
    assert purge(now() + timedelta(days=61)) == {}
    assert purge(now() + timedelta(days=63)) == {"events": 20, "profile_updates": 10}
    assert not Event.objects.exists()
    assert not ProfileChange.objects.exists()


def test_events_that_are_not_rolled_up_yet_stay(keep, capture):
    capture(20)
    keep(events=62)
    assert retention.purge(now=now() + LATER).counts == {}


def test_a_step_ends_when_its_time_is_up(keep, capture):
    capture(20)
    rollup.roll_up_all()
    keep(events=62)
    assert not retention.purge(now=now() + LATER, seconds=0).is_complete
    assert Event.objects.count() == 20


def test_nothing_goes_that_an_active_export_has_not_read(keep, capture, recurring, sandbox):
    keep(events=62)
    export = recurring()
    capture(10)
    cycle(export)
    capture(10)
    assert purge()["events"] == 10, "only the window that was delivered"
    cycle(export)
    assert {event["event_properties"]["Number"] for event in unique(sandbox)} == set(range(10))
    assert len(unique(sandbox)) == 20
    assert purge()["events"] == 10


def test_nothing_goes_behind_the_cursor_of_a_run_that_is_read(keep, capture, live, sandbox):
    keep(events=62)
    export = live()
    capture(30)
    sandbox.faults({"kind": "status", "status": 503, "count": 1})
    work_once(export)
    assert purge() == {}
    skip_waits(export)
    work_once(export)
    assert purge()["events"] == 30
    assert len(unique(sandbox)) == 30


def test_nothing_goes_of_the_days_of_a_one_time_export_that_is_read(keep, capture, one_time, sandbox):
    keep(events=62)
    capture(10)
    export = one_time()
    assert purge() == {}
    deliver(export)
    assert len(unique(sandbox)) == 10
    assert purge()["events"] == 10


def test_held_records_of_an_active_export_stay_with_what_follows(keep, capture, recurring, sandbox):
    keep(events=62)
    capture(20)
    sandbox.faults({"kind": "throttle", "users": ["person-0003"], "count": 1})
    export = recurring()
    cycle(export, slices=1)
    held = Held.objects.aggregate(first=Min("record_id"))["first"]
    assert purge()["events"] == Event.objects.filter(pk__lt=held).count() + 3
    assert Event.objects.aggregate(first=Min("pk"))["first"] == held
    skip_waits(export)
    deliver(export)
    assert len(unique(sandbox)) == 20
    assert purge()["events"] == 17


def test_rejected_records_that_wait_to_be_sent_again_stay(keep, capture, one_time, sandbox):
    keep(events=62, rejected=7)
    capture(4)
    capture(3, identity="abc")
    export = deliver(one_time())
    record = Rejected.objects.order_by("pk").first()
    rejected.resend(export=export, ids=[record.pk], by=ANN, now=now())
    assert purge() == {"events": 4, "rejected": 2}
    assert Rejected.objects.get().pk == record.pk
    assert Event.objects.aggregate(first=Min("pk"))["first"] == record.record_id


def test_the_ledger_stays_true_and_says_what_is_purged(keep, capture, one_time, recurring, sandbox, capsys):
    keep(events=62, rejected=7)
    capture(20)
    capture(3, identity="abc")
    deliver(one_time())
    export = recurring()
    cycle(export)
    assert check(capsys)[0] == 0
    assert purge() == {"events": 23, "rejected": 6}
    capture(5)
    cycle(export)
    code, printed = check(capsys)
    assert code == 0, printed
    assert "2 of them reach back to before what the project keeps: 0 of their 46 records" in printed
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_event WHERE id = (SELECT min(id) FROM events_event)")
    assert "the log has 4 records" in check(capsys)[1], "what is missing above the mark is still found"


def test_the_ledger_agrees_where_people_were_deleted_and_the_rest_is_purged(keep, capture, recurring, project, capsys):
    keep(events=62)
    export = recurring()
    capture(14)
    cycle(export)
    erasure.delete_people(project=project, identities=["person-0003"], by=ANN, now=now())
    exports_erasure.go_on(now=now())
    assert purge() == {"events": 12}
    assert check(capsys)[0] == 0
    capture(7)
    cycle(export)
    assert check(capsys)[0] == 0


def test_runs_go_but_the_last_and_their_counts_stay(keep, capture, recurring, sandbox, capsys):
    keep(runs=30)
    export = recurring()
    for count in (5, 6, 7):
        capture(count)
        capture(1, identity="abc")
        cycle(export)
    before = Export.objects.with_counts().get()
    assert purge() == {"runs": 2}
    after = Export.objects.with_counts().get()
    assert (
        (after.read, after.delivered, after.rejected) == (before.read, before.delivered, before.rejected) == (21, 18, 3)
    )
    assert PurgedRuns.objects.get().runs == 2
    assert Run.objects.get().sequence == 3
    assert Rejected.objects.count() == 1
    capture(2)
    cycle(export)
    assert Run.objects.order_by("sequence").last().sequence == 4
    assert check(capsys)[0] == 0


def test_a_run_with_held_records_stays(keep, capture, recurring, sandbox, capsys):
    keep(runs=30)
    export = recurring()
    capture(5)
    sandbox.faults({"kind": "throttle", "users": ["person-0003"], "count": 1})
    cycle(export, slices=1)
    for _ in range(2):
        capture(5, people=2)
        cycle(export, slices=1)
    actions.stop_export(export=export, by=ANN, now=now())
    assert purge() == {"runs": 1}, "the second one"
    assert list(Run.objects.order_by("sequence").values_list("sequence", flat=True)) == [1, 3]
    assert check(capsys)[0] == 0


def test_skipped_records_go_with_the_rejected(keep, capture, one_time, sandbox, capsys):
    keep(rejected=7)
    capture(20, identity=None, objectId="device-1")
    export = deliver(one_time(), slices=1)
    run = Run.objects.get()
    shard = Shard.objects.get()
    assert export.status == "DONE"
    rows = [Skipped(run=run, shard=shard, record_id=pk, reason="no_identifier") for pk in range(9)]
    Skipped.objects.bulk_create(rows)
    assert purge()["rejected"] == 9
    assert not Skipped.objects.exists()


def test_a_stopped_export_goes_on_as_long_as_its_records_are_kept(keep, capture, live, sandbox):
    keep(events=62)
    export = live()
    capture(5)
    lifecycle.stop(export, by=PORTAL, now=now())
    purge(now() + timedelta(days=61))
    goes_on = again.continue_export(export=export, by=ANN, now=now())
    work_once(goes_on)
    assert len(unique(sandbox)) == 5


def test_a_stopped_export_whose_records_are_gone_cannot_go_on_with_a_gap(keep, capture, live):
    keep(events=62)
    export = live()
    capture(5)
    lifecycle.stop(export, by=PORTAL, now=now())
    assert purge() == {"events": 5}
    with pytest.raises(Refused, match="not kept any more"):
        again.continue_export(export=export, by=ANN, now=now())


def test_old_audit_entries_go_in_one_way_only(keep, live):
    keep(audit=30)
    live()
    assert AuditEntry.objects.exists()
    assert purge(now() + timedelta(days=29)) == {}
    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
        AuditEntry.objects.all().delete()
    entries = AuditEntry.objects.count()
    assert purge() == {"audit": entries}


def test_audit_entries_of_others_stay(project, live):
    live()
    assert audit.purge(project_id=project.pk + 1, before=now() + LATER, limit=10) == 0


def test_by_hand(keep, capture, project, capsys):
    capture(9)
    rollup.roll_up_all()
    keep(events=62)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_event SET received_at = received_at - interval '100 days'")
    call_command("purge", project=project.account_id)
    assert capsys.readouterr().out == f"{project.account_id}  Shop: 9 events\n"
    call_command("purge", json=True)
    assert capsys.readouterr().out == f'{{"{project.account_id}": {{}}}}\n'
    with pytest.raises(CommandError, match="no project"):
        call_command("purge", project="NOBODY")
