"""Which events an answer names, by index or by id. Odd shapes are left aside, never guessed at."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from amplitude_client.problems import Problem
from amplitude_client.text import clean_text

# Amplitude, Batch: wait about 15 seconds after a 429.
THROTTLE_SECONDS = 15.0
# The daily quota is a rolling 24 hours in steps of one hour (Amplitude, Batch).
QUOTA_SECONDS = 3_600.0
# Why a record must wait so long, for people.
WHY_HELD: Mapping[float, str] = {
    THROTTLE_SECONDS: "Amplitude throttles the user or device: it takes only so many events of one at a time.",
    QUOTA_SECONDS: "The user or device has used up Amplitude's daily quota, which comes back hour by hour.",
}

_MAPS: Mapping[str, tuple[str, str, str]] = {
    "events_with_missing_fields": (
        "missing_field",
        "Amplitude misses the field “{}” in this event.",
        "Send the field with each event.",
    ),
    "events_with_invalid_fields": (
        "invalid_field",
        "Amplitude does not accept the value of “{}” in this event.",
        "Mend the value in your app, then send the event again.",
    ),
    # Undocumented, but what the API really answers to a short id, even when the other id is fine.
    "events_with_invalid_id_lengths": (
        "invalid_id_length",
        "The {} of this event is too short for Amplitude.",
        "Choose another User ID Mapping, or use identifiers of at least 5 characters.",
    ),
}
_SILENCED = Problem(
    "silenced",
    "device_id",
    "Amplitude has silenced the device or user of this event, as it sent far too many events.",
    "Find out in Amplitude's Ingestion Debugger why the id was silenced, then send the event again.",
)
_USER, _DEVICE = 0, 1
_NAMED_IDS: tuple[tuple[str, int, float], ...] = (
    ("throttled_users", _USER, THROTTLE_SECONDS),
    ("throttled_devices", _DEVICE, THROTTLE_SECONDS),
    ("exceeded_daily_quota_users", _USER, QUOTA_SECONDS),
    ("exceeded_daily_quota_devices", _DEVICE, QUOTA_SECONDS),
)
_Key = tuple[int, str]
Pair = tuple[str | None, str | None]
Ids = Iterable[Pair]  # (user_id, device_id) of each event, as sent; gone through only if the answer names some


@dataclass(frozen=True)
class Found:
    """unmatched: seconds to wait for ids that are named but are not among the ones sent; None when all were found."""

    rejected: Mapping[int, Problem] = field(default_factory=dict)
    held: Mapping[int, float] = field(default_factory=dict)
    maybe_more: bool = False
    unmatched: float | None = None


def read(data: Mapping[str, Any], *, batch_size: int, ids: Ids) -> Found:
    """Everything that the body names. An event that is refused is not held as well."""
    rejected, maybe_more = _refused(data, batch_size)
    rejected = {**_silenced(data, batch_size, ids), **rejected}
    held, unmatched = _held(data, batch_size, ids)
    return Found(
        rejected, {index: wait for index, wait in held.items() if index not in rejected}, maybe_more, unmatched
    )


def is_number(value: object, number: int) -> bool:
    """Whether `value` is exactly this integer; True is not 1 here."""
    return type(value) is int and value == number


def server_text(body: bytes, data: Mapping[str, Any] | None) -> str:
    """Amplitude's own words on one line, however long: its `error`, else the text of what may be an HTML page."""
    said = (data or {}).get("error")
    text = said if isinstance(said, str) else re.sub(r"<[^>]*>", " ", body[:4_000].decode(errors="replace"))
    if data is not None and not isinstance(said, str):
        text = ""
    return " ".join(clean_text(text).split())


def _refused(data: Mapping[str, Any], batch_size: int) -> tuple[dict[int, Problem], bool]:
    rejected: dict[int, Problem] = {}
    sizes: list[int] = []
    for key, (code, message, cure) in _MAPS.items():
        for name, indexes in _lists(data.get(key), batch_size):
            sizes.append(len(indexes))
            problem = Problem(code, name[:120], message.format(name[:120]), cure)
            rejected = {**dict.fromkeys(indexes, problem), **rejected}
    return rejected, bool(sizes) and max(sizes) == 1


def _lists(value: object, batch_size: int) -> Iterator[tuple[str, list[int]]]:
    if isinstance(value, dict):
        for name, indexes in value.items():
            usable = _indexes(indexes, batch_size)
            if usable:
                yield clean_text(name), usable


def _indexes(value: object, batch_size: int) -> list[int]:
    """The usable ones of a list of indexes, or of a bare index."""
    values = value if isinstance(value, list) else [value]
    return [index for index in values if type(index) is int and 0 <= index < batch_size]


def _names(value: object) -> list[str]:
    """The ids of a map of id → number, or of a list."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, dict | list) else []


def _keys(ids: Pair) -> list[_Key]:
    return [(kind, value) for kind, value in enumerate(ids) if value is not None]


def _silenced(data: Mapping[str, Any], batch_size: int, ids: Ids) -> dict[int, Problem]:
    """All events of a silenced id, and the indexes listed: the list may stop early."""
    keys = {(_DEVICE, name) for name in _names(data.get("silenced_devices"))}
    keys |= {(_USER, name) for name in _names(data.get("silenced_users"))}
    named = {index for index, pair in enumerate(ids) if keys.intersection(_keys(pair))} if keys else set()
    return dict.fromkeys(sorted(named.union(_indexes(data.get("silenced_events"), batch_size))), _SILENCED)


def _held(data: Mapping[str, Any], batch_size: int, ids: Ids) -> tuple[dict[int, float], float | None]:
    waits: dict[_Key, float] = {}
    for name, kind, seconds in _NAMED_IDS:
        for value in _names(data.get(name)):
            waits[kind, value] = max(seconds, waits.get((kind, value), 0.0))
    listed = set(_indexes(data.get("throttled_events"), batch_size))
    if not waits and not listed:
        return {}, None
    named = max(waits.values(), default=None)
    held = _queue(waits, listed, ids)
    return held, named if not held else None


def _queue(waits: dict[_Key, float], listed: set[int], ids: Ids) -> dict[int, float]:
    """Hold what is named, and behind each held event the later ones that share an id with it: order stays."""
    matched = any(key in waits for pair in ids for key in _keys(pair))
    # Ids that we cannot match (Amplitude makes up a device_id where none was sent) belong to the listed events then.
    pause = THROTTLE_SECONDS if matched else max(THROTTLE_SECONDS, *waits.values(), 0.0)
    held: dict[int, float] = {}
    for index, pair in enumerate(ids):
        keys = _keys(pair)
        wait = max((waits[key] for key in keys if key in waits), default=0.0)
        if index in listed:
            wait = max(wait, pause)
        if wait:
            held[index] = wait
            waits.update({key: max(wait, waits.get(key, 0.0)) for key in keys})
    return held
