"""What text may be stored: jsonb and text columns refuse NUL and lone surrogates, partners dislike the rest."""

import re
from datetime import UTC, datetime

# Line breaks stay, U+0085 among them; DEL and the C1 range are control characters like the C0 ones.
_ODD = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_FORBIDDEN_IN_NAMES = re.compile(r"""[%><!|&.:;$'"\\]""")
_DATE = re.compile(r"\$D_(-?\d{1,12})")


def clean_text(text: str) -> str:
    """NUL and tab become "-", other control characters and lone surrogates "?"; line breaks stay."""
    return text if text.isprintable() else _ODD.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    return "-" if match.group() in "\x00\t" else "?"


def as_text(given: str | float) -> str:
    """An id or number as text, however it was sent: 42 and 42.0 are one."""
    return str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)


def is_odd_name(name: str) -> bool:
    """Whether it has a character that CleverTap forbids in names, such as % . : or a quote."""
    return _FORBIDDEN_IN_NAMES.search(name) is not None


def date_value(text: str) -> str:
    """CleverTap's date "$D_<epoch seconds>" as ISO 8601 in UTC; anything else as it is."""
    match = _DATE.fullmatch(text)
    if match is None:
        return text
    try:
        return datetime.fromtimestamp(int(match.group(1)), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):  # beyond the years 1 to 9999
        return text
