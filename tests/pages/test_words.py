"""Instants, durations and ranges in people's words."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from exports_portal.common import words

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KOLKATA = ZoneInfo("Asia/Kolkata")


@pytest.mark.parametrize(
    ("back", "said"),
    [
        (timedelta(seconds=44), "a few seconds ago"),
        (timedelta(seconds=45), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=3), "3 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=7), "16 Nov 2026, 17:30"),
        (timedelta(seconds=-10), "in a few seconds"),
        (timedelta(hours=-5), "in 5 hours"),
    ],
)
def test_moments_are_relative_for_a_week(back: timedelta, said: str) -> None:
    with timezone.override(KOLKATA):
        assert words.relative(NOW - back, now=NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "under 1 s"),
        (41, "41 s"),
        (131, "2 min 11 s"),
        (120, "2 min"),
        (27 * 60 + 10, "27 min"),
        (3569, "59 min"),
        (3570, "1 h"),
        (3 * 3600 + 300, "3 h 5 min"),
        (2 * 86_400 + 4 * 3600, "2 days 4 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "now, at 17:30:00"),
        (12, "in 12 s, at 17:30:12"),
        (-3, "now, at 17:29:57"),
        (86_400, "in 1 day, at 24 Nov 2026, 17:30"),
    ],
)
def test_a_wait_tells_how_long_and_until_when(seconds: float, said: str) -> None:
    with timezone.override(KOLKATA):
        assert words.until(NOW + timedelta(seconds=seconds), now=NOW) == said


@pytest.mark.parametrize(("seconds", "said"), [(20, "under a minute"), (179, "about 3 min"), (7300, "about 2 h 1 min")])
def test_a_guess_says_that_it_is_one(seconds: float, said: str) -> None:
    assert words.about(seconds) == said


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2026, 11, 4), date(2026, 11, 4), "4 Nov 2026"),
        (date(2026, 10, 1), date(2026, 10, 31), "1 – 31 Oct 2026"),
        (date(2026, 10, 30), date(2026, 11, 2), "30 Oct – 2 Nov 2026"),
        (date(2025, 12, 30), date(2026, 1, 2), "30 Dec 2025 – 2 Jan 2026"),
    ],
)
def test_ranges_of_days_say_nothing_twice(first: date, last: date, said: str) -> None:
    assert words.days(first, last) == said


def test_windows_are_in_the_projects_zone_and_end_at_24() -> None:
    midnight = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
    with timezone.override(KOLKATA):
        assert words.window(midnight, midnight + timedelta(hours=12)) == "23 Nov, 00:00 – 12:00"
        assert words.window(midnight + timedelta(hours=12), midnight + timedelta(hours=24)) == "23 Nov, 12:00 – 24:00"
        assert words.window(midnight, midnight + timedelta(hours=30)) == "23 Nov, 00:00 – 24 Nov, 06:00"
        assert words.window(midnight, midnight) == "23 Nov, 00:00 – 00:00"
