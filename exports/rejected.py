"""Rejected records: which there are, sending them again, and the file of them."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Value
from django.db.models.functions import Least
from django.http import QueryDict

from exports.models import Export, Rejected, Run, Shard, Status
from exports_portal.common import audit, bells
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.files import chunked, csv_chunks
from exports_portal.common.log_context import request_id
from partners.models import Integration
from projects import access

# Amplitude drops a repeat by its insert_id for 7 days (Amplitude, HTTP V2); later it would count twice.
REPEATS_KNOWN = timedelta(days=7)
AT_ONCE = 10_000  # ids in one request
QUEUED_AT_ONCE = 10_000  # rows in one transaction: a long one would hold the horizon up
COLUMNS = ("id", "run", "run_id", "reason", "field", "message", "cure", "attempts", "rejected_at", "queued", "payload")


class ConsentNeeded(Refused):
    """Some of the records are so old that the partner may count them twice; somebody must want that."""


def resend(
    *,
    export: Export,
    run: Run | None = None,
    ids: Sequence[int] | None = None,
    reason: str | None = None,
    consent: bool = False,
    by: Actor,
    now: datetime,
) -> int:
    """Queue rejected records to be sent again, of all runs or one, some by id or all of a reason; returns how many.

    Harmless for what is queued already. Those rejected more than 7 days ago go only with `consent`. No status changes.
    Commits every QUEUED_AT_ONCE records; a Stop in between leaves the rest where it is.
    Raises Invalid, Refused, ConsentNeeded and PermissionDenied.
    """
    access.require(by, export.project, *access.EDITORS)
    mine = Rejected.objects.filter(run__export=export)
    rows = _chosen(mine if run is None else mine.filter(run=run), ids, reason)
    status = _hold(export, rows)
    old = rows.filter(created_at__lt=now - REPEATS_KNOWN).count()
    if old and not consent:
        records = "record was" if old == 1 else "records were"
        raise ConsentNeeded(
            f"{old:,} {records} rejected more than 7 days ago. The partner recognises repeats for 7 days only: what it "
            "has taken after all would count twice. Confirm that you want this."
        )
    detail = {"reason": reason or "", "older_than_7_days": old, "run": run.pk if run else None}
    queued = 0
    for keys in _parts(rows.filter(resend_at=None)):
        more = _queue(export=export, status=status, keys=keys, detail=detail, by=by, now=now)
        if more is None:
            break
        queued += more
    return queued


def _parts(rows: Any) -> Iterator[list[int]]:
    """Keys of the rows that are there now, QUEUED_AT_ONCE at a time. What is refused once more meanwhile is passed."""
    newest = rows.aggregate(newest=Max("pk"))["newest"] or 0
    after = 0
    while keys := list(
        rows.filter(pk__gt=after, pk__lte=newest).order_by("pk").values_list("pk", flat=True)[:QUEUED_AT_ONCE]
    ):
        yield keys
        after = keys[-1]


@transaction.atomic
def _queue(
    *, export: Export, status: str, keys: list[int], detail: dict[str, Any], by: Actor, now: datetime
) -> int | None:
    """Queue these; None when the export has been stopped since it had `status`."""
    rows = Rejected.objects.filter(pk__in=keys)
    if _hold(export, rows) == Status.STOPPED != status:
        return None
    Run.objects.filter(pk__in=rows.order_by().values("run")).update(request_id=request_id())
    # The shards before the records, as whoever settles does. least() passes over null: what waits may wait for less.
    first = Least(F("resend_at"), Value(now))
    shards = Shard.objects.filter(pk__in=rows.order_by().values("shard"))
    shards.update(resend_at=first, idle=False, not_before=None, rung_at=None)
    queued = rows.filter(resend_at=None).update(resend_at=now)
    after = {"records": queued, **detail}
    audit.record(action="export.resend", by=by, now=now, project_id=export.project_id, target=export, after=after)
    transaction.on_commit(bells.ring_tick)
    return queued


@transaction.atomic
def _hold(export: Export, rows: Any) -> str:
    """The export's status; until the end of the transaction nobody stops it or disconnects what the rows go through.

    That is what their runs began with, which the export may have left since.
    """
    runs = Run.objects.filter(Exists(rows.filter(run=OuterRef("pk"))), export=export)
    through = Integration.objects.filter(pk__in=runs.values("integration")).defer("secrets").order_by("pk")
    for integration in through.select_for_update(no_key=True):
        if integration.disconnected_at is not None:
            raise Refused(
                f"“{integration.nickname}” has been disconnected: what was to go through it cannot be sent any more."
            )
    return Export.objects.select_for_update(no_key=True).values_list("status", flat=True).get(pk=export.pk)


def _chosen(rows: Any, ids: Sequence[int] | None, reason: str | None) -> Any:
    if (ids is None) == (reason is None):
        raise Invalid({"ids": ["Name the records by ids or by reason, one of the two."]})
    if reason is not None:
        found = rows.filter(reason=reason)
        if not found.exists():
            raise Invalid({"reason": [f"No record is rejected for “{reason}”."]})
        return found
    wanted = set(ids or ())
    if not 0 < len(wanted) <= AT_ONCE:
        count = f"{len(wanted):,}" if wanted else "No"
        raise Invalid({"ids": [f"{count} records are chosen. Choose between 1 and {AT_ONCE:,}, or all of a reason."]})
    found = rows.filter(pk__in=wanted)
    missing = wanted - set(found.values_list("pk", flat=True))
    if missing:
        shown = ", ".join(map(str, sorted(missing)[:5]))
        raise Invalid({"ids": [f"These are not rejected records here: {shown}."]})
    return found


def chosen_in(form: QueryDict) -> dict[str, Any]:
    """What the form on the View page asks `resend` for."""
    reason = clean_reason(form.get("reason", ""))
    choice = {"reason": reason} if reason else {"ids": ids_in(form)}
    return {**choice, "consent": form.get("consent") == "yes"}


def ids_in(query: QueryDict) -> list[int]:
    """The rows that are named in a form or an address; what can be no key is passed over."""
    return [int(key) for key in query.getlist("id") if key.isascii() and key.isdigit() and len(key) < 19]


def clean_reason(text: str) -> str:
    """A reason as it may be asked for in forms and addresses: PostgreSQL refuses NUL. Empty: all of them."""
    return text.replace("\0", "")


def reasons(rows: Any) -> list[tuple[str, int]]:
    """Each reason and how many records it has, most frequent first."""
    return list(rows.order_by().values_list("reason").annotate(count=Count("pk")).order_by("-count", "reason"))


def as_csv(rows: Any) -> Iterator[str]:
    """Lines of a CSV file with a header, oldest first; reads by key, so memory does not grow with the rows.

    run: its number within the export, as on the page. run_id: as in the REST API.
    """
    numbered = rows.annotate(run_number=F("run__sequence"))
    return csv_chunks(COLUMNS, (map(_values, chunk) for chunk in chunked(numbered)))


def _values(row: Any) -> tuple[Any, ...]:
    what = (row.pk, row.run_number, row.run_id, row.reason, row.field, row.message, row.cure, row.attempts)
    return (*what, row.created_at.isoformat(), "yes" if row.resend_at else "", row.payload)
