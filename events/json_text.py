"""Reading JSON as people send it."""

import json
from typing import Any

import orjson


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
        return json.loads(text.decode(), strict=False)
    except UnicodeDecodeError:
        raise ValueError("not valid UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError(f"not valid JSON: {reason}") from None
