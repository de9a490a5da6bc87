"""Live Data Streaming: everything captured from the creation on, in runs that end at midnight and edits."""

from datetime import timedelta

import pytest

from exports import actions, schedule, tick
from exports.models import Export, Run, Shard, Status
from exports_portal.common.errors import Invalid, Refused
from tests.exports.conftest import ANN, deliver, edit, flow, now, skip_waits, today, unique, work_once
from tests.exports.transactions import open_writer


def test_what_is_captured_after_the_creation_is_sent_and_nothing_before(capture, live, sandbox):
    capture(5)
    export = flow(live())
    capture(7)
    export = flow(export)
    assert (export.status, export.read, export.delivered) == (Status.RUNNING, 7, 7)
    assert len(sandbox.events()) == 7


def test_an_idle_live_export_takes_no_slice_until_something_is_captured(capture, live, sandbox):
    export = flow(live())
    shard = Shard.objects.get()
    fence = shard.fence
    assert tick.tick(now=now()) == 0
    capture(1)
    assert tick.wake(now=now(), project_id=export.project_id) == 1
    work_once(export)
    shard.refresh_from_db()
    assert (shard.fence, shard.delivered, shard.idle) == (fence + 1, 1, True)


def test_a_capture_of_another_project_wakes_nobody(capture, live):
    flow(live())
    capture(1)
    assert tick.wake(now=now(), project_id=0) == 0


def test_records_that_do_not_match_are_passed_once(capture, live, sandbox):
    capture(1, name="Charged")
    export = flow(live(events="selected", selected_events=("Charged",)))
    capture(3, name="Searched")
    export = flow(export)
    assert (export.read, tick.wake(now=now())) == (0, 0)


def test_an_edit_ends_the_run_at_its_cursor_and_the_next_has_the_new_settings(capture, live, sandbox):
    capture(1, name="Charged")
    capture(1, name="Searched")
    export = flow(live())
    capture(3, name="Charged")
    capture(2, name="Searched")
    export = edit(flow(export), events="selected", selected_events=("Charged",))
    capture(4, name="Charged")
    capture(4, name="Searched")
    export = flow(export)
    first, second = Run.objects.with_counts().order_by("sequence")
    assert (first.status, first.read, second.status, second.read) == (Status.DONE, 5, Status.RUNNING, 4)
    assert first.until_tx_id == second.from_tx_id
    assert second.window_start == first.window_end
    assert (export.status, len(sandbox.events())) == (Status.RUNNING, 9)


def test_what_was_captured_but_not_yet_sent_goes_with_the_new_settings(capture, live, sandbox):
    capture(1, name="Charged")
    export = flow(live())
    capture(3, name="Charged")
    flow(edit(export, excluded_properties=("Title",)))
    assert [set(event["event_properties"]) for event in unique(sandbox)] == [{"Number"}] * 3


def test_midnight_ends_the_run_and_opens_the_next(capture, live, sandbox, project):
    export = flow(live())
    capture(2)
    flow(export)
    export.refresh_from_db()
    midnight = export.next_run_at.astimezone(project.tz)
    assert (midnight.date(), midnight.hour) == (today(project) + timedelta(days=1), 0)
    Export.objects.update(next_run_at=now())
    capture(3)
    export = flow(export)
    assert [(run.status, run.read) for run in Run.objects.with_counts().order_by("sequence")] == [
        (Status.DONE, 2),
        (Status.RUNNING, 3),
    ]
    assert export.next_run_at > now()


def test_a_live_export_becomes_recurring_and_back_without_a_gap(capture, live, sandbox, project):
    export = flow(live())
    capture(2)
    export = edit(export, frequency="recurring", every_hours=24, start_date=today(project))
    capture(3)
    export = flow(export)
    assert (export.status, export.runs.count()) == (Status.PENDING, 1)
    export = flow(edit(export, frequency="live", every_hours=None, start_date=None))
    capture(4)
    export = flow(export)
    assert (export.status, export.delivered, len(sandbox.events())) == (Status.RUNNING, 9, 9)


def test_a_capture_that_commits_late_is_sent_too(capture, live, sandbox, project):
    export = flow(live())
    with open_writer() as late:
        capture(2)
        export = Export.objects.with_counts().get(pk=export.pk)
        tick.tick(now=now())
        work_once(export)
        assert not sandbox.events()
        late.commit()
    assert flow(export).delivered == 2


def test_doubled_bells_find_an_idle_shard_closed(live):
    export = flow(live())
    fence = Shard.objects.get().fence
    work_once(export)
    assert Shard.objects.get().fence == fence


def test_held_records_of_a_live_export_go_on_when_their_wait_is_over(capture, live, sandbox):
    export = flow(live())
    sandbox.faults({"kind": "throttle", "users": ["person-0000"], "count": 1})
    capture(3, people=3)
    export = flow(export)
    assert (export.delivered, export.held) == (2, 1)
    skip_waits(export)
    export = flow(export)
    assert (export.delivered, export.held, export.status) == (3, 0, Status.RUNNING)


def test_a_live_export_is_stopped_at_once_and_stays_so(capture, live, sandbox):
    export = flow(live())
    actions.stop_export(export=export, by=ANN, now=now())
    capture(2)
    assert tick.wake(now=now()) == 0
    assert (Export.objects.get().status, Run.objects.get().status) == (Status.STOPPED, Status.STOPPED)
    assert not sandbox.events()


def test_a_live_export_is_not_run_now_and_never_becomes_one_time(live, project):
    export = live()
    with pytest.raises(Refused, match="Only recurring"):
        actions.run_now(export=export, by=ANN, now=now())
    with pytest.raises(Refused, match="one-time"):
        edit(export, frequency="one_time", date_from=today(project), date_to=today(project))


def test_dates_do_not_belong_to_a_live_export(live, project):
    with pytest.raises(Invalid) as refused:
        live(start_date=today(project))
    assert set(refused.value.errors) == {"start_date"}


def test_it_rests_when_none_of_its_event_names_exist_yet(capture, live):
    export = flow(live(events="engagement"))
    capture(3)
    export = flow(export)
    fence = Shard.objects.get().fence
    assert tick.wake(now=now()) == 0
    assert (export.read, Shard.objects.get().fence) == (0, fence)


def test_it_rests_while_what_was_captured_cannot_be_read_yet(capture, live):
    """A foreign transaction holds the horizon up: nobody is woken for what lies above it."""
    export = flow(live())
    with open_writer():
        capture(3)
        assert tick.wake(now=now()) == 0
    assert flow(export).delivered == 3


def test_what_is_settled_is_counted_in_its_local_hour(capture, live, sandbox, project):
    export = flow(live())
    sandbox.faults(
        {"kind": "refuse_events", "map": "events_with_invalid_fields", "field": "time", "user_id": "person-0000"}
    )
    hour = schedule.local_hour(now(), project.tz).isoformat()
    capture(6, people=3)
    flow(export)
    capture(1, people=1)
    sandbox.clear_faults()
    flow(export)
    assert Shard.objects.get().hours == {hour: [5, 2]}


def test_held_records_count_in_the_hour_in_which_they_are_delivered(capture, live, sandbox, project):
    export = flow(live())
    sandbox.faults({"kind": "throttle", "users": ["person-0000"], "count": 1})
    hour = schedule.local_hour(now(), project.tz).isoformat()
    capture(3, people=3)
    flow(export)
    assert Shard.objects.get().hours == {hour: [2, 0]}
    skip_waits(export)
    flow(export)
    assert Shard.objects.get().hours == {hour: [3, 0]}


def test_other_runs_keep_no_hours(capture, one_time, sandbox):
    capture(3)
    deliver(one_time())
    assert Shard.objects.get().hours == {}
