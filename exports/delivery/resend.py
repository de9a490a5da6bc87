"""Sends rejected records again that a person asked for, in any state of their run (rules 2, 3)."""

from datetime import datetime

from events import store
from exports import runs
from exports.delivery import ledger
from exports.delivery.batches import Batch, encode_rows, fitting
from exports.delivery.exchange import Exchange, Result
from exports.delivery.lease import Lease
from exports.models import Rejected, Run
from exports.preview import SKIP_REASONS
from partners.contract import Encoder, Limits, Refusal, Skip

GONE = Refusal(
    "deleted",
    "",
    "The record was deleted after it had been rejected.",
    "Nothing to do: deleted records are not sent.",
)


def encoder_of(run: Run, *, now: datetime) -> Encoder:
    """Today's mapping, priority and options, so that a fix counts; but the device_id as it was when first sent.

    Amplitude tells repeats apart by insert_id and device_id (Amplitude, HTTP V2).
    """
    return runs.encoder(run, runs.frozen_settings(run.export, sent_before=run), now=now)


def resend(*, run: Run, lease: Lease, exchange: Exchange, limits: Limits, now: datetime) -> Result:
    """Send what is due of this shard's queued records, oldest first, and settle it. Returns what the exchange says."""
    due = Rejected.objects.filter(shard_id=lease.shard_id, resend_at__lte=now).order_by("id")
    record_ids = list(due.values_list("record_id", flat=True)[: limits.records])
    rows = store.read_by_ids(run.export.project_id, record_ids, runs.log_of(run))
    found = [rows[record_id] for record_id in record_ids if record_id in rows]
    outcomes = encode_rows(found, encoder_of(run, now=now))
    count = fitting(outcomes, limits) if outcomes else 0
    batch = Batch(found[:count], outcomes[:count], end=(None, 0))
    ledger.mark_in_flight(lease, batch.outcomes.sendable, again=True)
    result = exchange.run(batch.outcomes)
    for index, other in result.others.items():
        if isinstance(other, Skip):
            result.others[index] = _refused(other)
    lost = sorted(set(record_ids) - set(rows))
    ledger.settle_resent(lease=lease, batch=batch, result=result, lost=lost, gone=GONE, now=now)
    return result


def _refused(skip: Skip) -> Refusal:
    return Refusal(skip.reason, "user_id", SKIP_REASONS.get(skip.reason, skip.reason), "Choose another identifier.")
