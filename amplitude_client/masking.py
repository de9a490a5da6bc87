"""Amplitude echoes the API key in its errors; no message of ours may carry it on."""

import re

_ECHO = re.compile(r"(invalid api key:\s*)[^\s\"<]+", re.IGNORECASE)
HIDDEN = "••••"


def mask(text: str, api_key: str) -> str:
    """`text` with every copy of the key replaced, whatever its case, and whatever stands after "Invalid API key:"."""
    bare = api_key.strip()
    if bare:
        text = re.sub(re.escape(bare), HIDDEN, text, flags=re.IGNORECASE)
    return _ECHO.sub(rf"\g<1>{HIDDEN}", text)
