"""The last records that the upload call refused, for people to see (CleverTap: error stream)."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import structlog
from django.db import DatabaseError, connection
from django.db.models import Q

from events.models import RefusedUpload
from events.refusals import RefusedRecord
from events.text import clean_text
from projects.models import Project

KEPT = 1_000  # of each project, a little more until `prune` comes by
KEPT_OF_REQUEST = 100
RECORD_CHARACTERS = 4_000
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
        RefusedUpload(
            project=project, received_at=now, code=one.code, error=clean_text(one.error), record=_text(one.record)
        )
        for one in refused[:KEPT_OF_REQUEST]
    ]
    try:
        RefusedUpload.objects.bulk_create(rows)
    except DatabaseError:
        log.warning("refused.lost", project=project.pk, records=len(rows), exc_info=True)


def _text(record: Any) -> str:
    try:
        return clean_text(json.dumps(record, ensure_ascii=False))[:RECORD_CHARACTERS]
    except (TypeError, ValueError, RecursionError):
        return "…"


def latest(project: Project, limit: int) -> list[RefusedUpload]:
    """Newest first."""
    return list(RefusedUpload.objects.filter(project=project).order_by("-pk")[:limit])


def prune() -> None:
    """Delete what is older than the last KEPT of its project; writes nothing when there is no such record."""
    with connection.cursor() as cursor:
        cursor.execute(PRUNE, [KEPT])


def forget(project: Project, ids: Iterable[str]) -> None:
    """Delete those that speak of somebody with one of these identities or CleverTap IDs (privacy)."""
    about = Q()
    for one in ids:
        about |= Q(record__contains=clean_text(json.dumps(one, ensure_ascii=False)))
        if one.isdecimal():
            about |= Q(record__contains=f": {one}")
    if about:
        RefusedUpload.objects.filter(about, project=project).delete()
