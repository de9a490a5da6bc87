"""Why one event is refused, in words for people."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """`code` is for programs, `field` the key of the event ("" when none is named), `cure` says what to do."""

    code: str
    field: str
    message: str
    cure: str
