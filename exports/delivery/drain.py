"""Sends held records once their wait is over, in the order in which they were held (DESIGN 5.6)."""

from datetime import datetime

from django.db.models import Min

from events import store
from exports.delivery import ledger
from exports.delivery.batches import Batch, BatchReader, encode_rows
from exports.delivery.exchange import Exchange, Hold, Result
from exports.delivery.lease import Lease
from exports.models import Held, Run
from partners.contract import Refusal

DRAIN_RECORDS = 2_000

# A record goes only when nothing earlier of one of its ids still waits, or is another worker's to send.
DUE = """
SELECT h.record_id FROM exports_held h
 WHERE h.shard_id = %(shard)s AND h.not_before <= %(now)s
   AND NOT EXISTS (
       SELECT 1 FROM exports_held e
        WHERE e.export_id = h.export_id AND e.id < h.id AND e.ids && h.ids
          AND (e.shard_id <> h.shard_id OR e.not_before > %(now)s))
 ORDER BY h.id LIMIT %(limit)s
"""
GONE = Refusal(
    "deleted",
    "",
    "The record was deleted from the event log while it waited.",
    "Nothing to do: deleted records are not sent.",
)


def waiting_ids(export_id: int, *, now: datetime) -> dict[str, float]:
    """Ids of an export that have held records → seconds until the last of them may go; later records queue behind."""
    waits: dict[str, float] = {}
    for ids, not_before in Held.objects.filter(export_id=export_id).values_list("ids", "not_before").iterator():
        seconds = max(0.0, (not_before - now).total_seconds())
        for key in ids:
            waits[key] = max(waits.get(key, 0.0), seconds)
    return waits


def next_due(shard_id: int) -> datetime | None:
    """When the first held record of a shard may be sent again."""
    first: datetime | None = Held.objects.filter(shard_id=shard_id).aggregate(first=Min("not_before"))["first"]
    return first


def drain(*, run: Run, lease: Lease, reader: BatchReader, exchange: Exchange, now: datetime) -> Result:
    """Send what is due of this shard's held records and settle it. Returns what the exchange says."""
    record_ids = _due(lease.shard_id, now=now)
    if not record_ids:
        return Result()
    rows = store.read_by_ids(run.export.project_id, record_ids)
    found = [rows[record_id] for record_id in record_ids if record_id in rows]
    batch = Batch(found, encode_rows(found, reader.encoder), end=(None, 0))
    result = exchange.run(batch.outcomes)
    still = {found[index].id: other for index, other in result.others.items() if isinstance(other, Hold)}
    result.others = {index: other for index, other in result.others.items() if not isinstance(other, Hold)}
    sums = ledger.tally(batch, result, len(found))
    lost = set(record_ids) - set(rows)
    sums.rejected.extend((record_id, GONE) for record_id in lost)
    gone = [*lost, *(found[index].id for index in (*result.accepted, *result.others))]
    ledger.settle_drained(
        run=run, lease=lease, sums=sums, gone=gone, still=still, unconfirmed=result.unconfirmed, now=now
    )
    return result


def _due(shard_id: int, *, now: datetime) -> list[int]:
    held = Held.objects.raw(
        DUE.replace("h.record_id FROM", "h.id, h.record_id FROM"),
        {"shard": shard_id, "now": now, "limit": DRAIN_RECORDS},
    )
    return [row.record_id for row in held]
