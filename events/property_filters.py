"""Filters on the properties of events, as SQL over the alias `e`."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from events.text import clean_text

MOST = 20

_IS: LiteralString = "e.properties -> %({key})s = ANY(%({value})s::jsonb[])"
_HAS: LiteralString = "e.properties ->> %({key})s LIKE ANY(%({value})s)"
_THERE: LiteralString = "jsonb_exists(e.properties, %({key})s)"
_NUMBER: LiteralString = (
    "CASE jsonb_typeof(e.properties -> %({key})s) WHEN 'number' THEN (e.properties ->> %({key})s)::numeric END"
)
CONDITIONS: dict[str, LiteralString] = {
    "equals": _IS,
    "not_equals": f"NOT {_IS}",
    "contains": _HAS,
    "not_contains": f"NOT {_HAS}",
    "gt": f"{_NUMBER} > %({{value}})s",
    "gte": f"{_NUMBER} >= %({{value}})s",
    "lt": f"{_NUMBER} < %({{value}})s",
    "lte": f"{_NUMBER} <= %({{value}})s",
    "exists": _THERE,
    "not_exists": f"NOT {_THERE}",
}


class Unusable(Exception):
    """A filter that cannot be applied; the message says which and why."""


@dataclass(frozen=True)
class PropertyFilter:
    """value: as its condition wants it. Only not_exists lets an event pass that lacks the property."""

    name: str
    operator: str
    value: Any = None


def read_filters(given: Any) -> tuple[PropertyFilter, ...]:
    """[{"name", "operator", "value"}], checked. Raises Unusable."""
    if not isinstance(given, list) or len(given) > MOST:
        raise Unusable(f"event_properties must be a list of at most {MOST} filters.")
    return tuple(_read(one) for one in given)


def _read(one: Any) -> PropertyFilter:
    if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
        raise Unusable('A filter of event_properties must be like {"name": "Price", "operator": "gt", "value": 10}.')
    operator = one.get("operator", "equals")
    if not isinstance(operator, str) or operator not in CONDITIONS:
        raise Unusable(f"There is no operator {operator}. Offered are: {', '.join(CONDITIONS)}.")
    name = clean_text(one["name"])  # as it was stored
    return PropertyFilter(name, operator, VALUES[operator](name, one.get("value")))


def _texts(name: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str | int | float | bool) for item in values):
        raise Unusable(f"The filter on {name} needs a value: a text, a number, true, false, or a list of these.")
    return [clean_text(item) if isinstance(item, str) else json.dumps(item) for item in values]


def _patterns(name: str, value: Any) -> list[str]:
    return [f"%{_escaped(text)}%" for text in _texts(name, value)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _values(name: str, value: Any) -> list[str]:
    """As text and as number, whichever it was sent as: clients that read their filters from a form know texts only."""
    texts = _texts(name, value)
    scalars = [_scalar(text) for text in texts]
    return [json.dumps(text) for text in texts] + [json.dumps(value) for value in scalars if value is not None]


def _scalar(text: str) -> float | bool | None:
    """The number, true or false that a text is, as capture reads it; None for any other text."""
    try:
        value = json.loads(text)
        return value if isinstance(value, bool | int | float) and math.isfinite(value) else None
    except (ValueError, OverflowError, RecursionError):
        return None


def _number(name: str, value: Any) -> str:
    number = _scalar(_texts(name, value)[0])
    if isinstance(value, list) or number is None or isinstance(number, bool):
        raise Unusable(f"The filter on {name} compares numbers; its value is none.")
    return json.dumps(number)


def _nothing(_name: str, _value: Any) -> None:
    return None


VALUES: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("equals", "not_equals"), _values),
    **dict.fromkeys(("contains", "not_contains"), _patterns),
    **dict.fromkeys(("gt", "gte", "lt", "lte"), _number),
    **dict.fromkeys(("exists", "not_exists"), _nothing),
}


def conditions(filters: Sequence[PropertyFilter]) -> tuple[str, dict[str, Any]]:
    """SQL over the alias `e`, beginning with AND, and its parameters."""
    sql, values = "", dict[str, Any]()
    for place, one in enumerate(filters):
        names = {"key": f"key_{place}", "value": f"value_{place}"}
        sql += f" AND coalesce({CONDITIONS[one.operator].format(**names)}, false)"
        values |= {names["key"]: one.name, names["value"]: one.value}
    return sql, values
