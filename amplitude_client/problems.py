"""Why one event is refused, in words for people."""

from collections.abc import Mapping
from dataclasses import dataclass

# Codes of problems in two or three words.
IN_SHORT: Mapping[str, str] = {
    "bad_request": "Refused without a reason",
    "bad_time": "Impossible time",
    "blocked_id": "Identifier of many people",
    "forbidden": "Refused by a firewall",
    "id_too_short": "Identifier too short",
    "invalid_field": "Invalid value",
    "invalid_id_length": "Identifier too short for Amplitude",
    "missing_field": "Missing field",
    "reserved_name": "Reserved event name",
    "silenced": "Silenced by Amplitude",
    "too_deep": "Nested too deep",
    "too_large": "Event too large",
}


@dataclass(frozen=True)
class Problem:
    """`code` is for programs, `field` the key of the event ("" when none is named), `cure` says what to do."""

    code: str
    field: str
    message: str
    cure: str
