"""Days, windows and boundaries in the project's own time."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exports import schedule

KOLKATA = ZoneInfo("Asia/Kolkata")
BERLIN = ZoneInfo("Europe/Berlin")
CAIRO = ZoneInfo("Africa/Cairo")  # its clocks jump at midnight


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_a_day_starts_at_midnight_of_the_project():
    assert schedule.days_window(date(2026, 10, 1), date(2026, 10, 1), KOLKATA) == (
        utc(2026, 9, 30, 18, 30),
        utc(2026, 10, 1, 18, 30),
    )


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_days_of_clock_changes_have_23_and_25_hours(day, hours):
    start, end = schedule.days_window(day, day, BERLIN)
    assert end - start == timedelta(hours=hours)


def test_a_midnight_that_the_clock_skips_is_the_instant_of_the_jump():
    start = schedule.local_instant(date(2026, 4, 24), 0, CAIRO)
    assert start.astimezone(CAIRO).hour == 1
    assert (start - timedelta(seconds=1)).astimezone(CAIRO).date() == date(2026, 4, 23)


def test_boundaries_keep_the_wall_clock_over_a_clock_change():
    found = islice(schedule.boundaries(date(2026, 3, 28), 12, BERLIN), 5)
    assert [(at.astimezone(BERLIN).day, at.astimezone(BERLIN).hour) for at in found] == [
        (28, 0),
        (28, 12),
        (29, 0),
        (29, 12),
        (30, 0),
    ]


def test_the_first_boundary_is_one_interval_after_the_start():
    now = utc(2026, 11, 22, 12)
    assert schedule.first_run(date(2026, 11, 25), 4, KOLKATA, now=now) == utc(2026, 11, 24, 22, 30)


def test_a_start_in_the_past_runs_at_once():
    now = utc(2026, 11, 23, 12)
    assert schedule.first_run(date(2026, 10, 1), 24, KOLKATA, now=now) == now


def test_a_start_today_before_its_first_boundary_waits_for_it():
    now = utc(2026, 11, 23, 1)
    assert schedule.first_run(date(2026, 11, 23), 24, ZoneInfo("UTC"), now=now) == utc(2026, 11, 24)


def test_missed_boundaries_collapse_into_the_latest():
    found = schedule.latest_boundary(date(2026, 11, 1), 6, ZoneInfo("UTC"), until=utc(2026, 11, 23, 13))
    assert found == utc(2026, 11, 23, 12)


def test_presets_reach_back_sixty_days_at_most_and_say_so():
    found = {preset.key: preset for preset in schedule.presets(date(2026, 3, 31))}
    assert (found["today"].first, found["today"].last) == (date(2026, 3, 31), date(2026, 3, 31))
    assert (found["last_60"].first, found["last_60"].clamped) == (date(2026, 1, 31), False)
    assert (found["previous_week"].first, found["previous_week"].last) == (date(2026, 3, 23), date(2026, 3, 29))
    previous_month = found["previous_month"]
    assert (previous_month.first, previous_month.last, previous_month.clamped) == (
        date(2026, 2, 1),
        date(2026, 2, 28),
        False,
    )


@pytest.mark.parametrize(
    ("today", "key", "first", "last"),
    [
        (date(2028, 3, 1), "previous_month", date(2028, 2, 1), date(2028, 2, 29)),
        (date(2027, 3, 1), "previous_month", date(2027, 2, 1), date(2027, 2, 28)),
        (date(2027, 1, 1), "previous_month", date(2026, 12, 1), date(2026, 12, 31)),
        (date(2028, 2, 29), "this_month", date(2028, 2, 1), date(2028, 2, 29)),
        (date(2028, 3, 1), "yesterday", date(2028, 2, 29), date(2028, 2, 29)),
        (date(2028, 3, 1), "last_7", date(2028, 2, 24), date(2028, 3, 1)),
        (date(2027, 1, 1), "previous_week", date(2026, 12, 21), date(2026, 12, 27)),
        (date(2026, 11, 1), "this_week", date(2026, 10, 26), date(2026, 11, 1)),
    ],
)
def test_presets_know_month_ends_leap_days_and_the_turn_of_the_year(today, key, first, last):
    preset = {preset.key: preset for preset in schedule.presets(today)}[key]
    assert (preset.first, preset.last) == (first, last)


def test_the_previous_month_is_clamped_when_it_began_more_than_sixty_days_ago():
    previous = {preset.key: preset for preset in schedule.presets(date(2026, 8, 31))}["previous_month"]
    assert (previous.first, previous.last, previous.clamped) == (date(2026, 7, 2), date(2026, 7, 31), True)


@given(
    start=st.dates(date(2025, 1, 1), date(2027, 12, 31)),
    hours=st.sampled_from([4, 6, 8, 12, 24]),
    zone=st.sampled_from(
        ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns", "Africa/Cairo", "Australia/Lord_Howe"]
    ),
    days=st.integers(0, 400),
    seconds=st.integers(0, 86_399),
)
def test_next_and_latest_boundary_are_neighbours_on_one_grid(start, hours, zone, days, seconds):
    tz = ZoneInfo(zone)
    at = schedule.local_instant(start, 0, tz) + timedelta(days=days, seconds=seconds)
    latest = schedule.latest_boundary(start, hours, tz, until=at)
    following = schedule.next_boundary(start, hours, tz, after=at)
    assert latest <= at < following
    assert following == next(found for found in schedule.boundaries(start, hours, tz) if found > latest)


@pytest.mark.parametrize(
    ("zone", "moment", "begin"),
    [
        ("UTC", (10, 59), (10, 0)),
        ("Asia/Kolkata", (10, 29), (9, 30)),
        ("Asia/Kolkata", (10, 30), (10, 30)),
        ("Asia/Kathmandu", (10, 20), (10, 15)),
    ],
)
def test_hours_are_those_of_the_local_clock(zone, moment, begin):
    found = schedule.local_hour(datetime(2026, 11, 24, *moment, 7, tzinfo=UTC), ZoneInfo(zone))
    assert found == datetime(2026, 11, 24, *begin, tzinfo=UTC)


def test_an_hour_that_comes_twice_is_two_hours():
    berlin = ZoneInfo("Europe/Berlin")
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert schedule.local_hour(second, berlin) - schedule.local_hour(first, berlin) == timedelta(hours=1)
