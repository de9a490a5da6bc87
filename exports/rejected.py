"""Rejected records: which there are, sending them again, and the file of them."""

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Min
from django.http import QueryDict

from exports.models import Export, Rejected, Run, Shard
from exports_portal.common import audit, bells
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid, Refused
from partners.models import Integration

# Amplitude drops a repeat by its insert_id for 7 days (Amplitude, HTTP V2); later it would count twice.
REPEATS_KNOWN = timedelta(days=7)
AT_ONCE = 10_000  # ids in one request
COLUMNS = ("id", "run", "reason", "field", "message", "cure", "attempts", "rejected_at", "queued", "payload")
CHUNK = 2_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@transaction.atomic
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
    Raises Invalid and Refused.
    """
    mine = Rejected.objects.filter(run__export=export)
    rows = _chosen(mine if run is None else mine.filter(run=run), ids, reason)
    integration = Integration.objects.select_for_update(no_key=True).defer("secrets").get(pk=export.integration_id)
    if integration.disconnected_at is not None:
        raise Refused("The integration has been disconnected: there is nowhere to send to. Integrate it anew.")
    old = rows.filter(created_at__lt=now - REPEATS_KNOWN).count()
    if old and not consent:
        records = "record was" if old == 1 else "records were"
        raise Refused(
            f"{old:,} {records} rejected more than 7 days ago. The partner recognises repeats for 7 days only: should "
            "it have taken any of them, it would count twice. Confirm that you want that."
        )
    queued = rows.filter(resend_at=None).update(resend_at=now)
    for shard_id, first in rows.order_by().values_list("shard").annotate(first=Min("resend_at")):
        Shard.objects.filter(pk=shard_id).update(resend_at=first, idle=False, not_before=None, rung_at=None)
    after = {"records": queued, "reason": reason or "", "older_than_7_days": old, "run": run.pk if run else None}
    audit.record(action="export.resend", by=by, now=now, project_id=export.project_id, target=export, after=after)
    transaction.on_commit(bells.ring_tick)
    return queued


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
        raise Invalid({"ids": [f"Choose between 1 and {AT_ONCE:,} records, or all of a reason."]})
    found = rows.filter(pk__in=wanted)
    missing = wanted - set(found.values_list("pk", flat=True))
    if missing:
        shown = ", ".join(map(str, sorted(missing)[:5]))
        raise Invalid({"ids": [f"These are not rejected records here: {shown}."]})
    return found


def chosen_in(form: QueryDict) -> dict[str, Any]:
    """What the form on the View page asks `resend` for."""
    ids = [int(key) for key in form.getlist("id") if key.isascii() and key.isdigit() and len(key) < 19]
    choice = {"reason": form["reason"]} if form.get("reason") else {"ids": ids}
    return {**choice, "consent": form.get("consent") == "yes"}


def reasons(rows: Any) -> list[tuple[str, int]]:
    """Each reason and how many records it has, most frequent first."""
    return list(rows.order_by().values_list("reason").annotate(count=Count("pk")).order_by("-count", "reason"))


def as_csv(rows: Any) -> Iterator[str]:
    """Lines of a CSV file with a header, oldest first; reads by key, so memory does not grow with the rows."""
    writer = csv.writer(_Lines())
    yield writer.writerow(COLUMNS)
    after = 0
    while chunk := list(rows.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield "".join(writer.writerow(map(_cell, _values(row))) for row in chunk)
        after = chunk[-1].pk


class _Lines:
    """csv wants something to write to; this hands each line back."""

    def write(self, line: str) -> str:
        return line


def _values(row: Rejected) -> tuple[Any, ...]:
    what = (row.pk, row.run_id, row.reason, row.field, row.message, row.cure, row.attempts)
    return (*what, row.created_at.isoformat(), "yes" if row.resend_at else "", row.payload)


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
