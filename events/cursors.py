"""Cursors of the read calls: a signed place in the log, so that nothing is stored for walks that nobody ends.

They have only characters that stay as they are when a client encodes an address once more.
"""

from datetime import datetime, timedelta
from typing import Any

from django.core import signing

LIFE = timedelta(hours=4)  # of a walk; each of its cursors is good for an hour (CleverTap, 2.3)
IDLE = timedelta(hours=1)
LONGEST = 7_500  # characters: gunicorn takes a request line of 8,190, and the next ones may be a little longer


class BadCursor(Exception):
    """It is not one of this kind, or too old. The message says which."""


def write(kind: str, content: list[Any], *, began: datetime) -> str:
    """`content` must be JSON. began: when the walk did, which stays the same from cursor to cursor."""
    return _signer(kind).sign_object([began.timestamp(), *content], compress=True)


def read(
    kind: str, cursor: str, *, now: datetime, life: timedelta = LIFE, idle: timedelta = IDLE
) -> tuple[datetime, list[Any]]:
    """When the walk began, and the content. Raises BadCursor."""
    try:
        began, *content = _signer(kind).unsign_object(cursor, max_age=idle)
    except signing.SignatureExpired:
        raise BadCursor(f"The cursor has not been used for {_in_words(idle)}. Ask for a new one.") from None
    except (signing.BadSignature, ValueError, TypeError):
        raise BadCursor("The cursor is not one of this call.") from None
    start = datetime.fromtimestamp(began, now.tzinfo)
    if now - start > life:
        raise BadCursor(f"The cursor is more than {_in_words(life)} old. Ask for a new one.")
    return start, content


def _in_words(time: timedelta) -> str:
    return {LIFE: "four hours", IDLE: "an hour"}.get(time, f"{time.days} days")


def _signer(kind: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"events.cursors.{kind}", sep=".")
