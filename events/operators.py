"""Operators of profile updates, such as {"Tags": {"$add": ["new"]}}: what they make of a property's present value.

CleverTap, profiles: multi-value properties hold texts, each once, the last 100 of them; counters hold numbers.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from events.properties import INTEGERS
from events.refusals import STRUCTURE, profile_refusal

MOST_VALUES = 100
ADD, REMOVE, SET, DELETE, INCREASE, DECREASE = "$add", "$remove", "$set", "$delete", "$incr", "$decr"
OF_LISTS, OF_NUMBERS = (ADD, REMOVE, SET), (INCREASE, DECREASE)
OPERATORS = (*OF_LISTS, DELETE, *OF_NUMBERS)


class Operation(NamedTuple):
    """`operand`: texts for lists, a number above 0 for counters."""

    key: str
    operator: str
    operand: Any

    def result(self, present: Any) -> Any:
        """The value that follows from the present one, None for either that is not there. Raises Refusal."""
        if self.operator in OF_NUMBERS:
            return self._number(present)
        before = [] if self.operator == SET else self._texts(present)
        if self.operator == REMOVE:
            return [text for text in before if text not in self.operand] or None
        return distinct([*before, *self.operand]) or None

    def _number(self, present: Any) -> float:
        before = 0 if present is None else present
        if isinstance(before, bool) or not isinstance(before, int | float):
            raise profile_refusal(STRUCTURE, f"{self.operator} needs a number, and “{self.key[:40]}” has none.")
        after = before + self.operand if self.operator == INCREASE else before - self.operand
        if isinstance(after, int) and after not in INTEGERS:
            after = float(after)
        if not math.isfinite(after):
            raise profile_refusal(STRUCTURE, f"“{self.key[:40]}” would be too large a number.")
        return after

    def _texts(self, present: Any) -> list[str]:
        """A single value counts as a list of one."""
        if isinstance(present, dict):
            raise profile_refusal(STRUCTURE, f"{self.operator} needs a list, and “{self.key[:40]}” is an object.")
        values = present if isinstance(present, list) else [] if present is None else [present]
        return [_text(self.key, value) for value in values]


def is_operation(value: Any) -> bool:
    """Whether a property's value, as sent, is an operator and no plain object."""
    return isinstance(value, Mapping) and any(key.startswith("$") for key in value)


def read_operation(key: str, given: Mapping[str, Any]) -> Operation:
    """The operation that a cleaned value asks for. Raises Refusal."""
    if len(given) != 1 or next(iter(given)) not in OPERATORS:
        raise profile_refusal(STRUCTURE, f"“{key[:40]}” must have one operator out of {', '.join(OPERATORS)}.")
    ((operator, operand),) = given.items()
    if operator in OF_LISTS:
        values = operand if isinstance(operand, list) else [operand]
        return Operation(key, operator, distinct([_text(key, value) for value in values if value not in (None, "")]))
    if operator in OF_NUMBERS and (isinstance(operand, bool) or not isinstance(operand, int | float) or operand <= 0):
        raise profile_refusal(STRUCTURE, f"{operator} of “{key[:40]}” must be a number above 0.")
    return Operation(key, operator, operand)


def distinct(values: list[str]) -> list[str]:
    """Each value once, in order; of more than MOST_VALUES the last ones."""
    return list(dict.fromkeys(values))[-MOST_VALUES:]


def _text(key: str, value: Any) -> str:
    if isinstance(value, list | dict):
        raise profile_refusal(STRUCTURE, f"The values of “{key[:40]}” must be texts.")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
