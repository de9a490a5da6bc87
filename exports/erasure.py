"""What exports keep of people who were deleted: payloads of rejected records, and held records with their ids.

Counts stay true: a rejected record stays one, without its payload, and a held one becomes a rejected one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import F, Max, Min

from events import erasure as rows
from events.models import Erasure
from exports.delivery.lease import longest
from exports.models import Held, Rejected, Shard
from exports_portal.common.database import single_flight

log = structlog.get_logger("exports")

PROJECT = attrgetter("project_id")
LOCK = 7_210_453  # any number of our own
AT_ONCE = 10_000  # rejected records looked at in one transaction
DELETED = {
    "reason": "deleted",
    "message": "The person of this record was deleted.",
    "cure": "Nothing to do: deleted records are not sent.",
}

# Records of an export point into the log that its runs read.
ERASED = """
  JOIN exports_run n ON n.id = {row}.run_id
  JOIN exports_export x ON x.id = n.export_id
  JOIN events_erased d ON d.record_id = {row}.record_id AND d.erasure_id = ANY(%(erasures)s)
   AND d.project_id = x.project_id
   AND d.log = CASE WHEN x.type = 'events' THEN 'events' WHEN n.axis = 'person' THEN 'people' ELSE 'changes' END
"""
FORGET = f"""
UPDATE exports_rejected SET reason = %(reason)s, field = '', message = %(message)s, cure = %(cure)s, payload = '',
       resend_at = NULL
 WHERE id IN (SELECT r.id FROM exports_rejected r {ERASED.format(row="r")}
               WHERE r.id > %(after)s AND r.id <= %(until)s)
"""  # noqa: S608 made of constants
HELD = f"""
SELECT h.shard_id, array_agg(h.id), array_agg(DISTINCT d.erasure_id) FROM (
    SELECT h.*, s.run_id FROM exports_held h JOIN exports_shard s ON s.id = h.shard_id) AS h {ERASED.format(row="h")}
 GROUP BY h.shard_id ORDER BY h.shard_id
"""  # noqa: S608 made of constants
# Whoever has a lease may be sending some of them; without one, an old fence writes nothing.
TAKE = """
UPDATE exports_shard SET fence = fence + 1
 WHERE id = %(shard)s
   AND (lease_until IS NULL OR lease_until NOT BETWEEN now() AND now() + make_interval(secs => %(longest)s))
"""


def go_on(*, now: datetime) -> None:
    """Do what can be done now of all erasures, each project's together. Harmless when it is cut short or rung twice.

    A no-op while another process is at it: beat rings oftener than it takes to read a large log.
    """
    with single_flight(LOCK) as is_first:
        if is_first:
            _go_on(now)


def _go_on(now: datetime) -> None:
    for _, group in groupby(sorted(rows.unfinished(), key=PROJECT), key=PROJECT):
        erasures = list(group)
        if new := [erasure for erasure in erasures if erasure.first_pass_at is None]:
            rows.erase_rows(new, is_last=False)
            forget(new, now=now)
            Erasure.objects.filter(pk__in=_keys(new)).update(first_pass_at=now)
        # What was being delivered or captured when the rows went is settled by now.
        begun = [erasure for erasure in erasures if erasure.first_pass_at is not None]
        if due := [erasure for erasure in begun if now - erasure.requested_at >= rows.SECOND_PASS]:
            rows.erase_rows(due, is_last=True)
            busy = forget(due, now=now)
            _finish([erasure for erasure in due if erasure.pk not in busy], now=now)


def _finish(erasures: Sequence[Erasure], *, now: datetime) -> None:
    Erasure.objects.filter(pk__in=_keys(erasures)).update(finished_at=now)
    for erasure in erasures:
        log.info("erasure.finished", project=erasure.project_id, erasure=erasure.pk)


def forget(erasures: Sequence[Erasure], *, now: datetime) -> set[int]:
    """Remove what exports keep of the erased records; returns the erasures of which a worker still has some."""
    _forget_rejected(erasures)
    with connection.cursor() as cursor:
        cursor.execute(HELD, {"erasures": _keys(erasures)})
        found = cursor.fetchall()
    busy: set[int] = set()
    for shard_id, held, owners in found:
        if not _reject_held(shard_id, held, now=now):
            busy.update(owners)
    return busy


def _forget_rejected(erasures: Sequence[Erasure]) -> None:
    known = Rejected.objects.aggregate(first=Min("pk"), last=Max("pk"))
    if known["last"] is None:
        return
    values: dict[str, Any] = {**DELETED, "erasures": _keys(erasures)}
    for after in range(known["first"] - 1, known["last"], AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(FORGET, {**values, "after": after, "until": after + AT_ONCE})


def _keys(erasures: Sequence[Erasure]) -> list[int]:
    return [erasure.pk for erasure in erasures]


@transaction.atomic
def _reject_held(shard_id: int, held_ids: Iterable[int], *, now: datetime) -> bool:
    """Move held records to rejected, unless somebody has the shard."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, {"shard": shard_id, "longest": longest()})
        if not cursor.rowcount:
            return False
    held = Held.objects.filter(pk__in=list(held_ids), shard=shard_id)
    run_id = Shard.objects.values_list("run_id", flat=True).get(pk=shard_id)
    rejected = [
        Rejected(run_id=run_id, shard_id=shard_id, record_id=record_id, created_at=now, **DELETED)
        for record_id in held.values_list("record_id", flat=True)
    ]
    Rejected.objects.bulk_create(rejected)
    held.delete()
    moved = len(rejected)
    counts = {"held": F("held") - moved, "rejected": F("rejected") + moved}
    Shard.objects.filter(pk=shard_id).update(**counts, not_before=None, rung_at=None)  # perhaps it is done now
    return True
