"""Instants, durations, numbers and values of fields in people's words. Pure; `now` is handed in."""

import json
from datetime import date, datetime, timedelta
from typing import Any

from django.utils import timezone

MINUTE, HOUR, DAY = 60, 3600, 86_400


def relative(moment: datetime, *, now: datetime) -> str:
    """How far `moment` lies from `now`: "a few seconds ago", "in 3 hours"; from a week on the date itself."""
    seconds = (now - moment).total_seconds()
    distance = abs(seconds)
    if distance < 45:
        return "a few seconds ago" if seconds >= 0 else "in a few seconds"
    if distance >= 7 * DAY:
        return on(moment)
    unit, size = ("minute", MINUTE) if distance < HOUR else ("hour", HOUR) if distance < DAY else ("day", DAY)
    count = max(1, round(distance / size))
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def soon(moment: datetime, *, now: datetime) -> str:
    """When something goes on: "now", "in 12 s", "in 3 h 5 min"."""
    seconds = (moment - now).total_seconds()
    return f"in {duration(seconds)}" if seconds >= 1 else "now"


def until(moment: datetime, *, now: datetime) -> str:
    """The same with the time of day: "in 12 s, at 14:02:10"; with the date when that is another day."""
    local, today = timezone.localtime(moment), timezone.localtime(now).date()
    clock = f"{local:%H:%M:%S}" if local.date() == today else on(moment)
    return f"{soon(moment, now=now)}, at {clock}"


def on(moment: datetime) -> str:
    """Day and time in the active time zone: "2 Nov 2026, 10:14"."""
    local = timezone.localtime(moment)
    return f"{day(local.date())}, {local:%H:%M}"


def exact(moment: datetime) -> str:
    """To the second, with the zone's name, for what appears on hover."""
    local = timezone.localtime(moment)
    return f"{day(local.date())}, {local:%H:%M:%S} {timezone.get_current_timezone_name()}"


def day(value: date) -> str:
    return f"{value.day} {value:%b %Y}"


def days(first: date, last: date) -> str:
    """An inclusive range of days with nothing said twice: "1 – 31 Oct 2026"."""
    if first == last:
        return day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} – {day(last)}"
    if first.year == last.year:
        return f"{first.day} {first:%b} – {day(last)}"
    return f"{day(first)} – {day(last)}"


def window(start: datetime, end: datetime) -> str:
    """A half-open window in the active zone: "23 Nov, 00:00 – 12:00"; midnight as its end is 24:00."""
    first, last = timezone.localtime(start), timezone.localtime(end)
    ends_at_midnight = (last.hour, last.minute, last.second) == (0, 0, 0) and last > first
    last_day = (last - timedelta(minutes=1)).date() if ends_at_midnight else last.date()
    closing = "24:00" if ends_at_midnight else f"{last:%H:%M}"
    if first.date() == last_day:
        return f"{first.day} {first:%b}, {first:%H:%M} – {closing}"
    return f"{first.day} {first:%b}, {first:%H:%M} – {last_day.day} {last_day:%b}, {closing}"


def counted(count: int, noun: str) -> str:
    """ "1 record", "1,234 records" """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def compact(count: int) -> str:
    """ "500", "2K", "1.5M", "20B": a round number where there is little room."""
    for size, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (1_000, "K")):
        if count >= size:
            return f"{count / size:.12g}{letter}"
    return str(count)


def duration(seconds: float) -> str:
    """ "41 s", "2 min 11 s", "27 min", "3 h 5 min", "2 days 4 h" """
    whole = round(seconds)
    if whole < 1:
        return "under 1 s"
    if whole < MINUTE:
        return f"{whole} s"
    if whole < 10 * MINUTE:
        return _two(whole, MINUTE, "min", 1, "s")
    if whole < HOUR - MINUTE / 2:
        return f"{round(whole / MINUTE)} min"
    whole = max(whole, HOUR)
    if whole < DAY:
        return _two(whole, HOUR, "h", MINUTE, "min")
    return _two(whole, DAY, "days" if whole >= 2 * DAY else "day", HOUR, "h")


def about(seconds: float) -> str:
    """A duration that is a guess: "about 3 min", "under a minute"."""
    if seconds < MINUTE:
        return "under a minute"
    return f"about {duration(round(seconds / MINUTE) * MINUTE if seconds < HOUR else seconds)}"


def label(name: str) -> str:
    """ "Identifier priority" of a field's name."""
    return name.removesuffix("_id").replace("_", " ").capitalize()


def value(of_field: Any) -> str:
    """What a field holds: "none", "yes", "a, b"."""
    if of_field is None or of_field in ("", [], {}):
        return "none"
    if isinstance(of_field, bool):
        return "yes" if of_field else "no"
    if isinstance(of_field, list):
        return ", ".join(map(value, of_field))
    return json.dumps(of_field, ensure_ascii=False) if isinstance(of_field, dict) else str(of_field)


def _two(whole: int, size: int, unit: str, rest_size: int, rest_unit: str) -> str:
    rest = whole % size // rest_size
    return f"{whole // size} {unit}" + (f" {rest} {rest_unit}" if rest else "")
