"""Days and boundaries on real runs: clock changes, odd zones, month ends, leap days, transactions across an edge."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
import time_machine

from events.ingest import ingest
from exports import actions, tick
from exports.models import Export, Run, Status
from exports.schedule import local_instant
from exports.spec import ExportSpec
from projects.models import Project
from tests.exports.conftest import ANN, deliver, now, skip_waits, today, unique
from tests.exports.transactions import late_rows

SECOND = timedelta(seconds=1)


@pytest.fixture
def in_zone(project) -> Callable[[str], Project]:
    def move(zone: str) -> Project:
        project.timezone = zone
        project.save()
        return project

    return move


def capture_at(project: Project, *moments: datetime) -> None:
    """One event at each of these moments, captured now."""
    records = [
        {"type": "event", "identity": "person-0001", "evtName": "Opened", "ts": int(moment.timestamp())}
        for moment in moments
    ]
    assert not ingest(project=project, records=records, now=now()).refused


BOUNDARIES = {
    "spring, Berlin: 00:00 to 06:00 lasts five hours": (
        "Europe/Berlin", 6, "2027-03-27 19:00", ["28 00:00", "28 06:00", "28 12:00", "28 18:00", "29 00:00"],
        [6, 5, 6, 6, 6],
    ),
    "autumn, Berlin: 00:00 to 06:00 lasts seven hours": (
        "Europe/Berlin", 6, "2026-10-24 19:00", ["25 00:00", "25 06:00", "25 12:00", "25 18:00", "26 00:00"],
        [6, 7, 6, 6, 6],
    ),
    "spring, New York, once a day: 23 hours": (
        "America/New_York", 24, "2027-03-13 09:00", ["14 00:00", "15 00:00", "16 00:00"], [24, 23, 24],
    ),
    "autumn, New York, once a day: 25 hours": (
        "America/New_York", 24, "2026-10-31 09:00", ["01 00:00", "02 00:00", "03 00:00"], [24, 25, 24],
    ),
    "Lord Howe goes half an hour forward": (
        "Australia/Lord_Howe", 4, "2027-10-02 21:00", ["03 00:00", "03 04:00", "03 08:00"], [4, 3.5, 4],
    ),
    "Lord Howe goes half an hour back": (
        "Australia/Lord_Howe", 12, "2027-04-03 13:00", ["04 00:00", "04 12:00", "05 00:00"], [12, 12.5, 12],
    ),
    "Cairo's clocks jump over midnight itself": (
        "Africa/Cairo", 12, "2027-04-29 13:00", ["30 01:00", "30 12:00", "01 00:00"], [12, 11, 12],
    ),
    "Cairo's day before has 25 hours": (
        "Africa/Cairo", 24, "2026-10-29 13:00", ["30 00:00", "31 00:00"], [25, 24],
    ),
    "Newfoundland, half an hour off the hour": (
        "America/St_Johns", 8, "2027-01-31 09:00", ["31 16:00", "01 00:00", "01 08:00"], [8, 8, 8],
    ),
    "Nepal, a quarter off the hour": (
        "Asia/Kathmandu", 12, "2026-12-31 05:00", ["31 12:00", "01 00:00"], [12, 12],
    ),
    "a leap day": ("Asia/Kolkata", 24, "2028-02-28 09:00", ["29 00:00", "01 00:00", "02 00:00"], [24, 24, 24]),
    "no leap day": ("Asia/Kolkata", 24, "2027-02-27 09:00", ["28 00:00", "01 00:00", "02 00:00"], [24, 24, 24]),
}  # fmt: skip


@pytest.mark.parametrize(("zone", "hours", "begin", "walls", "lengths"), BOUNDARIES.values(), ids=BOUNDARIES)
def test_runs_come_on_the_wall_clock_and_own_what_was_captured_since_the_one_before(
    in_zone, integration, sandbox, zone, hours, begin, walls, lengths
):
    project = in_zone(zone)
    with time_machine.travel(datetime.fromisoformat(begin).replace(tzinfo=project.tz)) as clock:
        spec = ExportSpec(integration.pk, "recurring", every_hours=hours, start_date=today(project))
        export = deliver(actions.create_export(project=project, spec=spec, by=ANN, now=now()))
        before = export.runs.count()
        for _ in walls:
            clock.move_to(export.next_run_at - SECOND)
            capture_at(project, now(), now())
            clock.move_to(export.next_run_at)
            export = deliver(export)
        runs = Run.objects.with_counts().order_by("sequence")[before:]
        ends = [run.window_end.astimezone(project.tz) for run in runs]
        assert [f"{end:%d %H:%M}" for end in ends] == walls
        assert [run.read for run in runs] == [2] * len(walls)
        assert [(run.window_end - run.window_start) / timedelta(hours=1) for run in runs][1:] == lengths[1:]
    assert len(unique(sandbox)) == len(sandbox.events()) == 2 * len(walls)


DAYS = {
    "23 hours": ("Europe/Berlin", date(2027, 3, 28), 23),
    "25 hours": ("Europe/Berlin", date(2026, 10, 25), 25),
    "a midnight that does not exist": ("Africa/Cairo", date(2027, 4, 30), 23),
    "a midnight that comes twice": ("America/Havana", date(2026, 11, 1), 25),
    "half an hour more": ("Australia/Lord_Howe", date(2027, 4, 4), 24.5),
    "a leap day": ("America/St_Johns", date(2028, 2, 29), 24),
    "the last day of a month": ("Asia/Kathmandu", date(2027, 4, 30), 24),
    "the last day of a year": ("Pacific/Kiritimati", date(2026, 12, 31), 24),
}


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS.values(), ids=DAYS)
def test_a_day_has_its_own_first_and_last_second_and_none_of_the_days_beside_it(
    in_zone, integration, sandbox, zone, day, hours
):
    project = in_zone(zone)
    start, end = (local_instant(each, 0, project.tz) for each in (day, day + timedelta(days=1)))
    assert (end - start) / timedelta(hours=1) == hours
    with time_machine.travel(end + timedelta(days=2)):
        capture_at(project, start - SECOND, start, end - SECOND, end)
        spec = ExportSpec(integration.pk, "one_time", date_from=day, date_to=day)
        export = deliver(actions.create_export(project=project, spec=spec, by=ANN, now=now()))
    assert (export.status, export.read) == (Status.DONE, 2)
    assert sorted(event["time"] for event in unique(sandbox)) == [
        int(moment.timestamp()) * 1000 for moment in (start, end - SECOND)
    ]


def test_transactions_held_open_across_an_edge_fall_into_the_window_in_which_they_commit(capture, recurring, sandbox):
    """What comes behind an open one waits with it; what is rolled back is in no window."""
    capture(2)
    export = deliver(recurring())
    with (
        late_rows("events", 1) as over_two_edges,
        late_rows("events", 4) as rolled_back,
        late_rows("events", 5) as over_one_edge,
    ):
        capture(3)
        assert reads_at_the_next_edge(export) == 0
        over_one_edge.commit()
        rolled_back.rollback()
        assert reads_at_the_next_edge(export) == 0
        over_two_edges.commit()
        capture(6)
        assert reads_at_the_next_edge(export) == 1 + 5 + 3 + 6
    assert reads_at_the_next_edge(export) == 0
    assert len(unique(sandbox)) == len(sandbox.events()) == 2 + 15


def test_a_one_time_export_waits_for_transactions_older_than_the_click_and_takes_nothing_after_it(
    capture, one_time, sandbox
):
    capture(2)
    with late_rows("events", 3) as open_at_the_click, late_rows("events", 4) as rolled_back:
        capture(1)
        export = one_time()
        capture(5)
        assert deliver(export, slices=1).read == 0
        rolled_back.rollback()
        open_at_the_click.commit()
    skip_waits(export)
    assert deliver(export).read == 2 + 1 + 3


def reads_at_the_next_edge(export: Export) -> int:
    """How much the run of the next boundary reads."""
    Export.objects.filter(pk=export.pk).update(next_run_at=now() - SECOND)
    tick.tick(now=now())
    deliver(export)
    run: int = Run.objects.with_counts().filter(export=export).latest("sequence").read
    return run
