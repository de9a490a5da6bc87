"""POST /1/upload (CleverTap, upload events): each refused record is named with its reason, and sinks no other."""

from datetime import UTC, datetime
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest

from events import catalogue, json_text, refused_uploads
from events.api_bodies import read_records
from events.api_calls import UPLOADS_AT_ONCE, clevertap_call, is_true
from events.ingest import ingest
from events.refusals import RefusedRecord
from projects.models import Project


@clevertap_call("POST", slots=("upload", UPLOADS_AT_ONCE))
def upload(request: HttpRequest, project: Project) -> dict[str, Any]:
    """POST /1/upload: events, profiles and tokens, up to 1,000; with ?dryRun=1 they are checked only."""
    now, dry_run = datetime.now(UTC), is_true(request, "dryRun", default=False)
    result = ingest(
        project=project,
        records=read_records(request),
        now=now,
        reserved=catalogue.RESERVED_EVENTS if settings.PORTAL_REFUSE_RESERVED_NAMES else (),
        dry_run=dry_run,
    )
    if result.refused and not dry_run:
        refused_uploads.keep(project=project, refused=result.refused, now=now)
    status = "success" if not result.refused else "partial" if result.processed else "fail"
    unprocessed = [_unprocessed(refused) for refused in result.refused]
    return {"status": status, "processed": result.processed, "unprocessed": unprocessed}


def _unprocessed(refused: RefusedRecord) -> dict[str, Any]:
    """Records are counted from 1, and no space stands before "Skipped": as CleverTap answers."""
    error = f"{refused.error}Skipped record number : {refused.index + 1}"
    return {"status": "fail", "code": refused.code, "error": error, "record": _echo(refused.record)}


def _echo(record: Any) -> orjson.Fragment:
    """The record as it came; null for one that has no form in JSON, as the answer must not fail for it."""
    try:
        return orjson.Fragment(json_text.dump(record))
    except (ValueError, RecursionError):
        return orjson.Fragment(b"null")
