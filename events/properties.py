"""Cleaning the properties of events and profiles when they are captured, and flagging what delivery must parse."""

import math
from collections.abc import Mapping
from functools import lru_cache
from itertools import count
from typing import Any

from django.conf import settings

from events.models import Flag
from events.refusals import STRUCTURE, TOO_MANY_PROPERTIES, Refusal
from events.text import clean_text, date_value, is_odd_name

KEY_CHARACTERS = 120
PROPERTIES = 256
DEPTH = 40  # Amplitude takes no deeper values
VALUE_CHARACTERS = 1_024  # the most that PORTAL_VALUE_CHARACTERS may ask for
INTEGERS = range(-(2**63), 2**63)

# What partners may want at the top level of their events, beside the properties of Charged (docs/amplitude.md).
WELL_KNOWN = frozenset(
    f"{prefix}{name}"
    for prefix, names in (
        ("CT ", ("App Version", "OS Version", "Network Carrier", "Latitude", "Longitude")),
        ("ct_", ("app_version", "os_version", "network_carrier", "latitude", "longitude")),
        ("", ("Model",)),
    )
    for name in names
)
CHARGED = "Charged"


def value_limit() -> int:
    """Characters of a property's value that are kept."""
    return min(settings.PORTAL_VALUE_CHARACTERS, VALUE_CHARACTERS)


def clean_properties(given: Mapping[str, Any], *, limit: int, most: int = PROPERTIES) -> tuple[dict[str, Any], int]:
    """Properties as they may be stored, and their Flag bits. Raises Refusal for too many, too long or too deep ones."""
    if len(given) > most:
        raise Refusal(TOO_MANY_PROPERTIES, f"The record has {len(given)} properties; {most} is the most. Send fewer.")
    flags = 0
    cleaned: dict[str, Any] = {}
    for key, value in given.items():
        name, key_flags = _key(key)
        if name in cleaned:
            name = _free_name(name, cleaned)
        flags |= key_flags
        if type(value) is str and value.isprintable() and len(value) <= limit and value[:1] != "$":
            cleaned[name] = value  # the usual case, kept short: this is the hottest loop of an upload
        else:
            cleaned[name], value_flags = _value(value, limit, 1)
            flags |= value_flags
    return cleaned, flags


@lru_cache(maxsize=20_000)
def _key(key: str) -> tuple[str, int]:
    name = clean_text(key)
    if len(name) > KEY_CHARACTERS:
        raise Refusal(
            STRUCTURE,
            f"The property name “{name[:40]}…” has {len(name)} characters; {KEY_CHARACTERS} is the most. Shorten it.",
        )
    return name, (Flag.WELL_KNOWN if name in WELL_KNOWN else 0) | (Flag.ODD_NAME if is_odd_name(name) else 0)


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    """Two names that became one when they were cleaned: neither value may be lost."""
    candidates = (f"{name[: KEY_CHARACTERS - 4]}-{number}" for number in count(2))
    return next(candidate for candidate in candidates if candidate not in taken)


def _value(value: Any, limit: int, depth: int) -> tuple[Any, int]:
    kind = type(value)
    if kind is str:
        return _text(value, limit)
    if value is None or kind is bool:
        return value, 0
    if kind is int:
        return (value, 0) if value in INTEGERS else (str(value)[:limit], Flag.PARSE)
    if kind is float:
        return _number(value)
    if depth >= DEPTH:
        raise Refusal(STRUCTURE, f"Properties are nested deeper than {DEPTH} levels. Send flatter ones.")
    if kind is list:
        return _list(value, limit, depth + 1)
    return _object(value, limit, depth + 1)


def _text(value: str, limit: int) -> tuple[str, int]:
    text = clean_text(date_value(value))
    return (text, 0) if len(text) <= limit else (text[:limit], Flag.CUT)


def _number(value: float) -> tuple[float | None, int]:
    """jsonb has no NaN and no infinities; it writes large numbers out in digits, past what 64 bits hold."""
    if not math.isfinite(value):
        return None, Flag.PARSE
    return value, Flag.PARSE if abs(value) >= 2**63 else 0


def _list(values: list[Any], limit: int, depth: int) -> tuple[list[Any], int]:
    flags = int(Flag.PARSE)
    cleaned = []
    for value in values:
        item, item_flags = _value(value, limit, depth)
        cleaned.append(item)
        flags |= item_flags
    return cleaned, flags


def _object(values: Mapping[str, Any], limit: int, depth: int) -> tuple[dict[str, Any], int]:
    flags = int(Flag.PARSE)
    cleaned: dict[str, Any] = {}
    for key, value in values.items():
        name, key_flags = _key(key)
        if name in cleaned:
            name = _free_name(name, cleaned)
        cleaned[name], value_flags = _value(value, limit, depth)
        flags |= value_flags | (key_flags & Flag.ODD_NAME)
    return cleaned, flags
