"""Sends held records once their wait is over, in the order in which they were held (rule 6).

Held records belong to (export, id as sent): later records of an id queue behind them, across batches and runs.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Min

from events import store
from exports import runs
from exports.delivery import ledger
from exports.delivery.batches import Batch, BatchReader, encode_rows, fitting
from exports.delivery.exchange import Exchange, Hold, Result
from exports.delivery.lease import Lease
from exports.models import Held, Run
from partners.contract import Limits, Refusal

DRAIN_RECORDS = 2_000

# One row per id is enough: whoever queues behind it is looked at again by BLOCKERS when it is due itself.
WAITING = """
SELECT k.id, h.not_before FROM unnest(%(ids)s::text[]) AS k (id), LATERAL (
    SELECT not_before FROM exports_held WHERE export_id = %(export)s AND ids @> ARRAY[k.id] LIMIT 1) AS h
"""
# The first held record of each id that may not go now, and until when: it waits itself, or is another shard's to send.
BLOCKERS = """
SELECT DISTINCT ON (k.id) k.id, e.id, greatest(e.not_before, %(soon)s)
  FROM unnest(%(ids)s::text[]) AS k (id) JOIN exports_held e ON e.ids @> ARRAY[k.id]
 WHERE e.export_id = %(export)s AND (e.shard_id <> %(shard)s OR e.not_before > %(now)s)
 ORDER BY k.id, e.id
"""
SOON = timedelta(seconds=2)  # then another shard will have sent what stands before
GONE = Refusal(
    "deleted",
    "",
    "The record was deleted while it waited.",
    "Nothing to do: deleted records are not sent.",
)


def holds_any(export_id: int) -> bool:
    """Whether an export has held records at all."""
    return Held.objects.filter(export_id=export_id).exists()


def waiting_among(export_id: int, ids: Collection[str], *, now: datetime) -> dict[str, float]:
    """Which of these ids have held records → seconds to wait; at least a moment, as the held ones go first."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, {"ids": list(ids), "export": export_id})
        return {key: max(0.0, (not_before - now).total_seconds()) for key, not_before in cursor.fetchall()}


def next_due(shard_id: int) -> datetime | None:
    """When the first held record of a shard may be sent again."""
    first: datetime | None = Held.objects.filter(shard_id=shard_id).aggregate(first=Min("not_before"))["first"]
    return first


def drain(*, run: Run, lease: Lease, reader: BatchReader, exchange: Exchange, limits: Limits, now: datetime) -> Result:
    """Send what is due of this shard's held records and settle it. Returns what the exchange says."""
    record_ids, waits = _due(run.export_id, lease.shard_id, limits.records, now=now)
    if waits:
        ledger.postpone(lease, waits)
    if not record_ids:
        return Result()
    rows = store.read_by_ids(run.export.project_id, record_ids, runs.log_of(run))
    found = [rows[record_id] for record_id in record_ids if record_id in rows]
    outcomes = encode_rows(found, reader.encoder)
    count = fitting(outcomes, limits)
    batch = Batch(found[:count], outcomes[:count], end=(None, 0))
    ledger.mark_in_flight(lease, batch.outcomes.sendable, again=True)
    result = exchange.run(batch.outcomes)
    still = {found[index].id: other for index, other in result.others.items() if isinstance(other, Hold)}
    result.others = {index: other for index, other in result.others.items() if not isinstance(other, Hold)}
    sums = ledger.tally(batch, result, len(batch.rows))
    lost = set(record_ids) - set(rows)
    sums.rejected.extend((record_id, GONE) for record_id in lost)
    gone = [*lost, *(found[index].id for index in (*result.accepted, *result.others))]
    ledger.settle_drained(
        run=run, lease=lease, sums=sums, gone=gone, still=still, unconfirmed=result.unconfirmed, now=now
    )
    return result


def _due(export_id: int, shard_id: int, limit: int, *, now: datetime) -> tuple[list[int], dict[datetime, list[int]]]:
    """Record ids of held records that may go, oldest first, and rows to rest longer, by the time until which.

    A record whose id has an earlier one that must wait rests as long as that one. Left due, it would hide the free
    ones behind it, and wake workers for nothing.
    """
    held = list(Held.objects.filter(shard_id=shard_id, not_before__lte=now).order_by("id")[: min(limit, DRAIN_RECORDS)])
    blocked = _blockers(export_id, shard_id, {key for row in held for key in row.ids}, now=now)
    due: list[int] = []
    waits: dict[datetime, list[int]] = defaultdict(list)
    for row in held:
        before = [until for first, until in (blocked[key] for key in row.ids if key in blocked) if first < row.pk]
        if not before:
            due.append(row.record_id)
            continue
        waits[max(before)].append(row.pk)
        for key in row.ids:
            if key not in blocked or row.pk < blocked[key][0]:
                blocked[key] = (row.pk, max(before))
    return due, waits


def _blockers(export_id: int, shard_id: int, ids: Iterable[str], *, now: datetime) -> dict[str, tuple[int, datetime]]:
    parameters: dict[str, Any] = {"ids": list(ids), "export": export_id, "shard": shard_id, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(BLOCKERS, {**parameters, "soon": now + SOON})
        return {key: (row_id, not_before) for key, row_id, not_before in cursor.fetchall()}
