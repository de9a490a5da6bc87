"""What text may carry on its way to Amplitude."""

import re

# JSON carries line breaks; U+0085 is one too. DEL and the C1 range are control characters like the C0 ones.
# Lone surrogates have no UTF-8 form, so no JSON encoder takes them.
_ODD = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_SEPARATORS = re.compile(r"[\s/]")


def _replacement(match: re.Match[str]) -> str:
    return "-" if match.group() in "\x00\t" else "?"


def clean_text(text: str) -> str:
    """NUL and tab become "-", other control characters and lone surrogates "?"; line breaks stay."""
    if text.isprintable():
        return text
    return _ODD.sub(_replacement, text)


def hyphenate(name: str) -> str:
    """Every white-space character and every slash becomes a hyphen."""
    return _SEPARATORS.sub("-", name)
