"""When exports run and which days they cover. Pure: dates in the project's zone in, aware UTC instants out.

Days start at 12:00 a.m. on the project's wall clock, DST included; instants of a window are half-open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MAX_DAYS = 60  # seed, Create New Export: "up to the last 60 days"


@dataclass(frozen=True)
class Preset:
    """A named range of days. `clamped`: it was cut to the last 60 days."""

    key: str
    label: str
    first: date
    last: date
    clamped: bool = False


def local_instant(day: date, hour: int, tz: ZoneInfo) -> datetime:
    """The UTC instant of an hour of a local day.

    An hour that comes twice (autumn) is its first; one that the clock skips (spring) is read with the offset
    before the gap, so a skipped midnight is the instant at which the clock jumps (PEP 495, fold=0).
    """
    return datetime.combine(day, time(hour), tzinfo=tz).astimezone(UTC)


def days_window(first: date, last: date, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """The half-open window of the local days `first` to `last`, both inclusive."""
    return local_instant(first, 0, tz), local_instant(last + timedelta(days=1), 0, tz)


def oldest_day(today: date) -> date:
    """The first day that an export may reach back to."""
    return today - timedelta(days=MAX_DAYS)


def presets(today: date) -> list[Preset]:
    """The named ranges of the calendar, clamped to what an export may cover."""
    week = today - timedelta(days=today.weekday())
    month = today.replace(day=1)
    last_month_end = month - timedelta(days=1)
    ranges = (
        ("today", "Today", today, today),
        ("yesterday", "Yesterday", today - timedelta(days=1), today - timedelta(days=1)),
        ("last_7", "Last 7 days", today - timedelta(days=6), today),
        ("last_30", "Last 30 days", today - timedelta(days=29), today),
        ("last_60", "Last 60 days", today - timedelta(days=59), today),
        ("this_week", "This week", week, today),
        ("previous_week", "Previous week", week - timedelta(days=7), week - timedelta(days=1)),
        ("this_month", "This month", month, today),
        ("previous_month", "Previous month", last_month_end.replace(day=1), last_month_end),
    )
    oldest = oldest_day(today)
    return [Preset(key, label, max(first, oldest), last, first < oldest) for key, label, first, last in ranges]


def boundaries(start: date, every_hours: int, tz: ZoneInfo) -> Iterator[datetime]:
    """The instants of a cycle from 12:00 a.m. of `start` on, the start itself included, in order."""
    day = start
    previous = None
    while True:
        for hour in range(0, 24, every_hours):
            instant = local_instant(day, hour, tz)
            if previous is None or instant > previous:  # two wall times may fall together at a gap
                yield instant
                previous = instant
        day += timedelta(days=1)


def next_boundary(start: date, every_hours: int, tz: ZoneInfo, *, after: datetime) -> datetime:
    """The first boundary later than `after`, the start included."""
    near = max(start, after.astimezone(tz).date() - timedelta(days=1))
    return next(instant for instant in boundaries(near, every_hours, tz) if instant > after)


def latest_boundary(start: date, every_hours: int, tz: ZoneInfo, *, until: datetime) -> datetime:
    """The last boundary at or before `until`: missed ones collapse into it. The start itself when none has come."""
    near = max(start, until.astimezone(tz).date() - timedelta(days=1))
    latest = local_instant(start, 0, tz)
    for instant in boundaries(near, every_hours, tz):
        if instant > until:
            return latest
        latest = instant
    return latest


def next_midnight(tz: ZoneInfo, *, after: datetime) -> datetime:
    """The first start of a local day later than `after`."""
    day = after.astimezone(tz).date()
    return next(
        instant
        for days in (0, 1, 2)  # the day's own start lies ahead where its midnight comes twice
        if (instant := local_instant(day + timedelta(days=days), 0, tz)) > after
    )


def local_hour(moment: datetime, tz: ZoneInfo) -> datetime:
    """The UTC instant at which the local hour of `moment` began; half past, where the zone is half an hour off."""
    return moment.astimezone(tz).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def next_of(cycle: tuple[date, int] | None, tz: ZoneInfo, *, after: datetime) -> datetime:
    """When a window ends next: at the next boundary of a cycle, else at midnight."""
    return next_midnight(tz, after=after) if cycle is None else next_boundary(*cycle, tz, after=after)


def first_run(start: date, every_hours: int, tz: ZoneInfo, *, now: datetime) -> datetime:
    """When a new recurring export runs first: now if a boundary has passed already, else at its first one.

    Never at the start itself, when nothing has been captured yet.
    """
    return max(now, next_boundary(start, every_hours, tz, after=local_instant(start, 0, tz)))
