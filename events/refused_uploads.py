"""The last records that the upload call refused, for people to see (CleverTap: error stream)."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from django.db import Error, connection

from events.models import RefusedUpload
from events.refusals import RefusedRecord
from events.text import as_text, clean_text
from projects.models import Project

KEPT = 1_000  # of each project, a little more until `prune` comes by
KEPT_OF_REQUEST = 100
RECORD_CHARACTERS = 4_000
NAMES = ("type", "identity", "objectId", "FBID", "GPID")
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?')
_PHONE = re.compile(r"\+?[0-9\s().\-]+")
_PHONE_FILLERS = re.compile(r"[\s().+\-]")
PRUNE = """
DELETE FROM events_refusedupload r
 USING projects_project p, LATERAL (
    SELECT o.id FROM events_refusedupload o WHERE o.project_id = p.id ORDER BY o.id DESC OFFSET %s LIMIT 1) AS last
 WHERE r.project_id = p.id AND r.id <= last.id
"""

log = structlog.get_logger("events")


def keep(*, project: Project, refused: Sequence[RefusedRecord], now: datetime) -> None:
    """Keep the first of a request. Whoever sent them has been answered for all, so losing some of them is no fault."""
    rows = [
        RefusedUpload(project=project, received_at=now, code=one.code, error=one.error, record=_text(one.record))
        for one in refused[:KEPT_OF_REQUEST]
    ]
    try:
        RefusedUpload.objects.bulk_create(rows)
    except Error:
        log.warning("refused.lost", project=project.pk, records=len(rows), exc_info=True)


def _text(record: Any) -> str:
    try:
        text = _dumped(record)
        if len(text) > RECORD_CHARACTERS and isinstance(record, Mapping):
            # Whom it speaks of must not be cut off, or it could not be forgotten with them.
            text = _dumped({key: record[key] for key in NAMES if key in record} | dict(record))
        return text[:RECORD_CHARACTERS]
    except (TypeError, ValueError, RecursionError):
        return "…"


def _dumped(record: Any) -> str:
    return clean_text(json.dumps(record, ensure_ascii=False))


def latest(project: Project, limit: int) -> list[RefusedUpload]:
    """Newest first."""
    return list(RefusedUpload.objects.filter(project=project).order_by("-pk")[:limit])


def prune() -> None:
    """Delete what is older than the last KEPT of its project; writes nothing when there is no such record."""
    with connection.cursor() as cursor:
        cursor.execute(PRUNE, [KEPT])


def forget(project: Project, ids: Iterable[str]) -> None:
    """Delete those that speak of somebody with one of these identifiers, email addresses or phone numbers (privacy)."""
    meant = {_folded(one) for one in ids}
    kept = RefusedUpload.objects.filter(project=project).values_list("pk", "record")
    about = [pk for pk, record in kept if not meant.isdisjoint(_values(record))]
    RefusedUpload.objects.filter(pk__in=about).delete()


def _values(record: str) -> Iterator[str]:
    """All texts and numbers of a record, which may be cut; as `_folded` has them."""
    for text in _VALUE.findall(record):
        try:
            value = json.loads(text)
        except ValueError:  # cut within
            continue
        yield _folded(clean_text(as_text(value)))


def _folded(value: str) -> str:
    """However an address is written, or a phone number."""
    return _PHONE_FILLERS.sub("", value) if _PHONE.fullmatch(value) else value.strip().upper()
