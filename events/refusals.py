"""Why a record is refused, with CleverTap's codes (CleverTap, API errors) and texts that say what to do."""

from dataclasses import dataclass
from typing import Any

from events.text import clean_text

NAME_MISSING, STRUCTURE, RESERVED_NAME, GENDER, EMAIL, PHONE = 509, 512, 513, 514, 515, 516
EMPLOYED, EDUCATION, MARRIED, AGE, TOO_MANY_PROPERTIES = 517, 518, 519, 520, 522
IDENTITY_MISSING, TYPE_UNKNOWN, TIMESTAMP, OBJECT_ID, DISCARDED_NAME = 523, 524, 525, 526, 528
TOKEN_OBJECT_ID, TOKEN_DATA, TOKEN_ID, TOKEN_TYPE, TOKEN_OF_DEVICE, TOKEN_KEYS = 530, 531, 532, 533, 534, 535

TIMESTAMP_TEXT = "Timestamp should be present in the Unix Epoch format."


class Refusal(Exception):
    """One record is refused; the others are not affected.

    error: cleaned, as it may repeat what was sent, and the answer must not fail for it once the others are stored.
    """

    def __init__(self, code: int, error: str) -> None:
        self.code = code
        self.error = clean_text(error)
        super().__init__(self.error)


@dataclass(frozen=True)
class RefusedRecord:
    """index: place in the request, from 0. record: as it was sent."""

    index: int
    code: int
    error: str
    record: Any


def event_refusal(code: int, why: str) -> Refusal:
    """In the words of CleverTap's event errors."""
    field = "Event Name" if code in (NAME_MISSING, RESERVED_NAME, DISCARDED_NAME) else "Event structure"
    return Refusal(code, f"{field} is incorrect. ErrorCode: {code} - {why}")


def profile_refusal(code: int, why: str) -> Refusal:
    """In the words of CleverTap's profile errors."""
    return Refusal(code, f"Profile data is incorrect. {why}")
