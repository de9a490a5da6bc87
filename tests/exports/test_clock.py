"""Clocks that differ or step back: positions tell what belongs to a window, so nothing is lost, doubled or stuck."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import time_machine

from events.ingest import ingest
from exports import actions, tick
from exports.delivery.lease import claim
from exports.models import Export, Run, Shard, Status
from exports.spec import ExportSpec
from tests.exports.conftest import ANN, deliver, edit, flow, now, today

HOUR = timedelta(hours=1)


@pytest.fixture
def capture_at(project):
    """capture_at(moment, count) uploads events to a server whose clock says `moment`."""

    def upload(moment: datetime, count: int = 1, **options: bool) -> None:
        record = {"type": "event", "identity": "person-0001", "evtName": "Opened", "ts": int(moment.timestamp())}
        ingest(project=project, records=[record] * count, now=moment, **options)

    return upload


def in_order(export: Export) -> bool:
    """Windows follow each other without gap and without overlap, by position and as people see them."""
    runs = list(export.runs.order_by("sequence"))
    return all(
        earlier.until_tx_id == later.from_tx_id and earlier.window_end == later.window_start <= later.window_end
        for earlier, later in pairwise(runs)
    )


def test_what_is_captured_after_a_step_back_is_in_the_next_window(recurring, capture_at, sandbox):
    export = deliver(recurring())
    boundary = export.next_run_at
    capture_at(boundary - HOUR, 2)
    tick.tick(now=boundary)
    capture_at(boundary - 2 * HOUR, 3)  # the clock has stepped back by two hours
    deliver(export)
    actions.run_now(export=export, by=ANN, now=boundary - 2 * HOUR)
    export = deliver(export)
    assert [run.read for run in Run.objects.with_counts().order_by("sequence")] == [0, 2, 3]
    assert (in_order(export), len(sandbox.events())) == (True, 5)


def test_a_boundary_that_comes_again_after_a_step_back_runs_once(recurring):
    export = deliver(recurring())
    boundary = export.next_run_at
    tick.tick(now=boundary)
    deliver(export)
    for minutes in (-60, -1, 0, 1):
        tick.tick(now=boundary + timedelta(minutes=minutes))
    assert export.runs.count() == 2


def test_a_clock_that_was_ahead_by_days_leaves_no_export_waiting_for_them(recurring, live, project):
    started, to_come, streaming = recurring(every_hours=4), recurring(days_back=-3), live()
    restarted = edit(recurring(), every_hours=24, start_date=today(project) + timedelta(days=5))
    promised = [row.next_run_at for row in (to_come, restarted)]
    Export.objects.filter(pk__in=[started.pk, streaming.pk]).update(next_run_at=now() + timedelta(days=400))
    tick.tick(now=now())
    for export in (started, to_come, streaming, restarted):
        export.refresh_from_db()
    assert started.next_run_at <= now() + 4 * HOUR
    assert streaming.next_run_at <= now() + 25 * HOUR
    assert [row.next_run_at for row in (to_come, restarted)] == promised


def test_a_live_export_gets_what_servers_capture_whose_clocks_are_behind(integration, project, capture_at, sandbox):
    spec = ExportSpec(integration.pk, "live")
    ahead = now() + 2 * HOUR
    export = actions.create_export(project=project, spec=spec, by=ANN, now=ahead)
    capture_at(now(), 2)
    assert flow(export).delivered == 2


def test_history_that_is_imported_as_captured_long_ago_stays_out_of_a_live_export(live, capture_at, sandbox):
    export = live()
    capture_at(now() - timedelta(days=3), 2, captured_at_event_time=True)
    assert flow(export).read == 0


def test_windows_of_a_live_export_stay_in_order_when_the_clock_steps_back(live, capture_at, sandbox):
    export = flow(live())
    start = now()
    for hours in (0, -3, -1):
        with time_machine.travel(start + hours * HOUR):
            capture_at(now(), 2)
            export = flow(edit(export, name=f"{hours} h"))
    assert in_order(export)
    assert (export.delivered, export.status) == (6, Status.RUNNING)


def test_a_lease_given_before_the_databases_clock_stepped_back_is_not_waited_for(capture, one_time, sandbox):
    capture(3)
    export = one_time()
    shard = Shard.objects.get()
    assert claim(shard.pk) is not None
    assert claim(shard.pk) is None
    assert tick.tick(now=now()) == 0
    Shard.objects.update(lease_until=now() + HOUR, rung_at=now() + HOUR)
    assert tick.tick(now=now()) == 1
    assert deliver(export).status == Status.DONE
