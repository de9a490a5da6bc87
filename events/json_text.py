"""Reading JSON as people send it, and writing what is stored."""

import json
from typing import Any

import orjson

LONGEST_INTEGER = 20  # characters of one that may fit into 64 bits


def parse(text: bytes) -> Any:
    """The value; raises ValueError that says "not valid …" and where.

    orjson refuses a whole body for one lone surrogate, NaN or raw control character in it; json takes them, and
    records are cleaned one by one. So one odd value sinks neither its record nor the others.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason = str(error)
    try:
        return json.loads(text.decode(), strict=False, parse_int=_integer)
    except UnicodeDecodeError:
        raise ValueError("not valid UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError(f"not valid JSON: {reason}") from None


def _integer(digits: str) -> float:
    """As orjson has it: what 64 bits do not hold is a float. A record must not depend on what comes beside it."""
    number = int(digits) if len(digits) <= LONGEST_INTEGER else 2**64
    return number if -(2**63) <= number < 2**64 else float(digits)


def dump(value: Any) -> bytes:
    """The value as JSON. Raises ValueError or RecursionError for one that has no such form.

    orjson takes neither integers beyond 64 bits, as which jsonb hands out large floats, nor lone surrogates.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, allow_nan=False).encode()
