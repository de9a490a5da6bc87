"""Proof that values were tested shortly before they are saved, carried by the form from one click to the next."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac

from partners.contract import TestReport

SALT = "partners.tested"
KEPT_FOR = timedelta(minutes=10)


def proof(values: Mapping[str, str], report: TestReport, *, now: datetime) -> str:
    """Signed, and without the values themselves."""
    said = [_digest(values), now.isoformat(), report.ok, report.message]
    return signing.dumps(said, salt=SALT)


def proven(token: str, values: Mapping[str, str]) -> tuple[datetime, bool | None, str] | None:
    """When just these values were tested, whether they worked and what was said; None without a proof that counts."""
    try:
        digest, at, ok, message = signing.loads(token, salt=SALT, max_age=KEPT_FOR)
    except signing.BadSignature:
        return None
    return (datetime.fromisoformat(at), ok, message) if constant_time_compare(digest, _digest(values)) else None


def _digest(values: Mapping[str, str]) -> str:
    return salted_hmac(SALT, json.dumps(sorted(values.items())), algorithm="sha256").hexdigest()
