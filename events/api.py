"""CleverTap's upload API (CleverTap, 2.1 and 2.2): many failures are HTTP 200 with a status of their own."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from events.api_bodies import BadBody, read_records
from events.ingest import Result, check, ingest
from events.positions import RestoredDump
from events.refusals import RefusedRecord
from exports_portal.common.database import AWAY, reason
from projects.credentials import project_for_passcode
from projects.models import Project

log = structlog.get_logger("events")

SERVER_ERROR = 555
ACCOUNT_CHARACTERS = 64  # of a header, in the log


@csrf_exempt
@login_not_required
def upload(request: HttpRequest) -> HttpResponse:
    """POST /1/upload: events, profiles and tokens, up to 1,000; each refused record is named with its reason."""
    if request.method != "POST":
        return _failure(405, "Use POST.", headers={"Allow": "POST"})
    account_id = request.headers.get("X-CleverTap-Account-Id", "")
    try:
        return _upload(request, account_id)
    except BadBody as bad:
        return _failure(bad.status, bad.error)
    except RestoredDump as error:
        return _failure(503, str(error))
    except AWAY as error:
        log.warning("upload.failed", account=account_id[:ACCOUNT_CHARACTERS], why=reason(error))
    except DatabaseError:
        log.exception("upload.failed", account=account_id[:ACCOUNT_CHARACTERS])
    return _failure(503, "The records could not be stored; none of them was. Send them again.", code=SERVER_ERROR)


def _upload(request: HttpRequest, account_id: str) -> HttpResponse:
    project = project_for_passcode(account_id, request.headers.get("X-CleverTap-Passcode", ""))
    if project is None:
        is_known = Project.objects.filter(account_id=account_id.replace("\0", "")).exists()
        return _failure(401, "Invalid Credentials" if is_known else "Account ID is not valid")
    return _answer(_store(request, project, read_records(request)))


def _store(request: HttpRequest, project: Project, records: list[Any]) -> Result:
    now = datetime.now(UTC)
    if request.GET.get("dryRun") in ("1", "true"):
        return check(records=records, now=now)
    return ingest(project=project, records=records, now=now)


def _answer(result: Result) -> HttpResponse:
    status = "success" if not result.refused else "partial" if result.processed else "fail"
    unprocessed = [_unprocessed(refused) for refused in result.refused]
    return _json(200, {"status": status, "processed": result.processed, "unprocessed": unprocessed})


def _unprocessed(refused: RefusedRecord) -> dict[str, Any]:
    """Records are counted from 1, and no space stands before "Skipped": as CleverTap answers."""
    error = f"{refused.error}Skipped record number : {refused.index + 1}"
    return {"status": "fail", "code": refused.code, "error": error, "record": _echo(refused.record)}


def _failure(
    status: int, error: str, *, code: int | None = None, headers: dict[str, str] | None = None
) -> HttpResponse:
    return _json(status, {"status": "fail", "error": error, "code": code or status}, headers)


def _json(status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        orjson.dumps(content), status=status, headers=headers, content_type="application/json;charset=utf-8"
    )


def _echo(record: Any) -> orjson.Fragment:
    """The record as it came; null for one that has no form in JSON, as the answer must not fail for it."""
    try:
        return orjson.Fragment(orjson.dumps(record))
    except TypeError:
        pass
    try:
        return orjson.Fragment(json.dumps(record, allow_nan=False))
    except (ValueError, RecursionError):
        return orjson.Fragment(b"null")
