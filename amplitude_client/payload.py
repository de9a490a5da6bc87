"""Amplitude's rules for one event. Pure and fast: nothing here reads a clock or talks to anybody.

Sources: Amplitude, HTTP V2 and Batch Event Upload.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from amplitude_client.problems import Problem
from amplitude_client.text import clean_text, hyphenate

MIN_ID_LENGTH = 5
MAX_TEXT = 1_024
MAX_DEPTH = 40

# Amplitude answers 400 to these as an id, in any case.
BLOCKED_IDS = frozenset(
    {
        "",
        '""',
        "''",
        "anonymous",
        "nil",
        "none",
        "null",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "00000000-0000-0000-0000-000000000000",
        "{}",
        "lmy47d",
        "0",
        "-1",
    }
)
IDENTIFY = "$identify"
OPERATIONS = frozenset({IDENTIFY, "$groupidentify"})
RESERVED_NAMES = frozenset(
    f"[Amplitude] {name}"
    for name in (
        "Start Session",
        "End Session",
        "Revenue",
        "Revenue (Verified)",
        "Revenue (Unverified)",
        "Merged User",
    )
)

# The range that Amplitude accepts is not documented: it takes old data by the year, and shows events hundreds of
# years ahead instead of refusing them. So nonsense (seconds sent as milliseconds, broken clocks) is caught here.
EARLIEST_MS = 946_684_800_000  # 2000-01-01T00:00:00Z
FUTURE_MS = 24 * 60 * 60 * 1_000


class Cleaned(NamedTuple):
    """A value as it may be sent, how many places had to be altered, and why it cannot be sent at all (or None)."""

    value: Any
    changes: int
    problem: Problem | None = None


class _TooDeepError(Exception):
    """Deeper than MAX_DEPTH; the caller names the field."""


def check_id(value: str, *, field: str = "user_id", min_length: int = MIN_ID_LENGTH) -> Problem | None:
    """Whether Amplitude takes `value` as a user_id or device_id."""
    bare = value.strip().lower()
    if bare in BLOCKED_IDS or (field == "device_id" and not bare.strip("0-")):
        return Problem(
            "blocked_id",
            field,
            f"Amplitude does not accept “{value}” as a {field}, because many people share it.",
            "Send an identifier that belongs to one person only.",
        )
    if len(value) < min_length:
        return Problem(
            "id_too_short",
            field,
            f"The {field} “{value}” has {len(value)} characters; Amplitude asks for at least {min_length}.",
            "Choose another User ID Mapping, or use longer identifiers in your app.",
        )
    return None


def check_event_type(name: str) -> Problem | None:
    """Whether `name` may be the name of a customer's event. Amplitude's own names and operations may not."""
    if not name:
        return Problem("missing_field", "event_type", "The event has no name.", "Name the event in your app.")
    if name in RESERVED_NAMES or name in OPERATIONS:
        return Problem(
            "reserved_name",
            "event_type",
            f"“{name}” is a name that Amplitude keeps for itself.",
            "Rename the event in your app.",
        )
    return None


def check_time(time_ms: int, *, now_ms: int) -> Problem | None:
    """Whether the time is a sane count of milliseconds: from 2000 on, and at most 24 hours ahead of `now_ms`."""
    if EARLIEST_MS <= time_ms <= now_ms + FUTURE_MS:
        return None
    when = "before the year 2000" if time_ms < EARLIEST_MS else "more than 24 hours in the future"
    return Problem(
        "bad_time",
        "time",
        f"The time of the event, {_date(time_ms)}, lies {when}.",
        "Send the moment at which the event happened, from a device whose clock is right.",
    )


def _date(time_ms: int) -> str:
    """In people's words; the bare number where no calendar reaches."""
    try:
        return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%d %b %Y %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms since 1970"


def clean_value(value: Any, *, field: str = "event_properties") -> Cleaned:
    """`value` as it may be sent: strings over 1,024 characters cut, NaN and infinities null, control characters
    replaced, integers beyond 64 bits as text. The argument stays as it is.

    The number of keys is not limited here: no limit of the server is known, the 1,024 of the SDKs is their own.
    """
    try:
        cleaned, changes = _clean(value, depth=0)
    except _TooDeepError:
        problem = Problem(
            "too_deep",
            field,
            f"{field} is nested deeper than {MAX_DEPTH} levels; Amplitude does not take more.",
            "Send flatter properties.",
        )
        return Cleaned(value, 0, problem)
    return Cleaned(cleaned, changes)


def _clean(value: Any, *, depth: int) -> tuple[Any, int]:
    kind = type(value)
    if kind is str:
        return _clean_string(value)
    if value is None or kind is bool:
        return value, 0
    if kind is int:
        return (value, 0) if -(2**63) <= value < 2**63 else (str(value), 1)
    if kind is float:
        return (value, 0) if math.isfinite(value) else (None, 1)
    if depth == MAX_DEPTH:
        raise _TooDeepError
    if kind is dict:
        return _clean_dict(value, depth=depth + 1)
    if kind in (list, tuple):
        return _clean_list(value, depth=depth + 1)
    return _clean_string(str(value))[0], 1


def _clean_string(value: str) -> tuple[str, int]:
    if len(value) <= MAX_TEXT and value.isprintable():
        return value, 0  # the usual case, kept short: profiles are cleaned one by one
    cleaned = clean_text(value[:MAX_TEXT])
    return cleaned, int(cleaned != value)


def _clean_dict(value: dict[Any, Any], *, depth: int) -> tuple[dict[str, Any], int]:
    cleaned: dict[str, Any] = {}
    changes = 0
    for key, item in value.items():
        name, renamed = _clean_string(key if type(key) is str else str(key))
        if name in cleaned:  # two keys that look alike once cleaned: neither value may be lost
            name, renamed = _free_name(name, cleaned), 1
        cleaned[name], altered = _clean(item, depth=depth)
        changes += renamed + altered
    return cleaned, changes


def hyphenate_names(properties: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """`properties` under hyphenated names, and how many had to get yet another one, as two became the same.

    Names that need no hyphens stay as they are, in whatever order the properties come.
    """
    hyphenated = {hyphenate(name): value for name, value in properties.items()}
    if len(hyphenated) == len(properties):
        return hyphenated, 0
    hyphenated = {name: value for name, value in properties.items() if hyphenate(name) == name}
    changes = 0
    for old in [name for name in properties if name not in hyphenated]:
        name = hyphenate(old)
        if name in hyphenated:
            name, changes = _free_name(name, hyphenated), changes + 1
        hyphenated[name] = properties[old]
    return hyphenated, changes


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    candidates = (f"{name[: MAX_TEXT - 10]}-{number}" for number in count(2))
    return next(candidate for candidate in candidates if candidate not in taken)


def _clean_list(value: list[Any] | tuple[Any, ...], *, depth: int) -> tuple[list[Any], int]:
    pairs = [_clean(item, depth=depth) for item in value]
    return [item for item, _ in pairs], sum(altered for _, altered in pairs)
