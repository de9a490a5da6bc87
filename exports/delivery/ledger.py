"""The ledger: counts, rejected and held rows and cursor move in one transaction, under the fence (DESIGN 5.2, 5.4)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, cast

from django.db import transaction
from django.db.models import F, Min

from exports.delivery.batches import Batch, Outcome
from exports.delivery.exchange import Hold, Other, Result, ids_of
from exports.delivery.lease import Lease
from exports.models import Axis, Held, Rejected, Run, Shard, Skipped
from partners.contract import Encoded, Refusal, Skip

SKIPPED_LISTED = 1_000  # per run


class LeaseLost(Exception):
    """Another worker has the shard; nothing was written."""


@dataclass
class Tally:
    """Sums and rows of a settled stretch of records."""

    delivered: int = 0
    altered: int = 0
    rejected: list[tuple[int, Refusal]] = field(default_factory=list)
    held: list[tuple[int, list[str], Hold]] = field(default_factory=list)
    skipped: list[tuple[int, Skip]] = field(default_factory=list)

    @property
    def read(self) -> int:
        return self.delivered + len(self.rejected) + len(self.held) + len(self.skipped)

    def add(self, record_id: int, outcome: Outcome, other: Other) -> None:
        match other:
            case Refusal():
                payload = outcome.body.decode() if isinstance(outcome, Encoded) else other.payload
                self.rejected.append((record_id, replace(other, payload=payload)))
            case Hold():
                self.held.append((record_id, ids_of(cast(Encoded, outcome)), other))
            case Skip():
                self.skipped.append((record_id, other))


def settled_prefix(batch: Batch, result: Result) -> int:
    """How many records from the start have their outcome; the cursor may move over these only."""
    if len(result.accepted) + len(result.others) == len(batch.rows):
        return len(batch.rows)
    settled = {*result.accepted, *result.others}
    return next(index for index in range(len(batch.rows)) if index not in settled)


def tally(batch: Batch, result: Result, count: int) -> Tally:
    """Sums over the first `count` records."""
    accepted = [index for index in result.accepted if index < count]
    altered = [index for index in accepted if cast(Encoded, batch.outcomes[index]).altered]
    sums = Tally(len(accepted), len(altered))
    for index, other in result.others.items():
        if index < count:
            sums.add(batch.rows[index].id, batch.outcomes[index], other)
    return sums


@transaction.atomic
def settle(
    *,
    run: Run,
    lease: Lease,
    sums: Tally,
    cursor: tuple[Any, int] | None,
    last: bool,
    unconfirmed: int,
    in_flight: int,
    batch_records: int | None,
    now: datetime,
) -> None:
    """Write what became of a stretch of records and move the cursor behind it. Raises LeaseLost.

    cursor: None leaves it where it is. last: nothing remains to be read. in_flight: the size of the request that
    follows at once, so that a worker that dies leaves behind how many records it may have sent.
    """
    changes: dict[str, Any] = {"unconfirmed": unconfirmed, "in_flight": in_flight, **_additions(sums)}
    changes["read"] = F("read") + sums.read
    if cursor is not None:
        key = "cursor_time" if run.axis == Axis.TIME else "cursor_tx_id"
        changes |= {key: cursor[0], "cursor_id": cursor[1]}
    if last:
        changes["reading"] = False
    if sums.delivered:
        changes["failures"] = 0
    if batch_records is not None:
        changes["batch_records"] = batch_records
    _update(lease, changes)
    _insert_rows(run, lease, sums, now=now)


@transaction.atomic
def settle_drained(
    *, run: Run, lease: Lease, sums: Tally, gone: Sequence[int], still: dict[int, Hold], unconfirmed: int, now: datetime
) -> None:
    """Move held records to delivered, rejected or skipped on their original run; `read` stays (DESIGN 5.2).

    gone: record ids that are held no more. still: record id → the new wait.
    """
    changes = {**_additions(sums), "held": F("held") - len(gone), "unconfirmed": unconfirmed, "in_flight": 0}
    _update(lease, changes)
    _insert_rows(run, lease, sums, now=now)
    Held.objects.filter(shard_id=lease.shard_id, record_id__in=gone).delete()
    for hold, held in groupby(sorted(still.items(), key=lambda item: _wait(item[1])), key=lambda item: item[1]):
        Held.objects.filter(shard_id=lease.shard_id, record_id__in=[record_id for record_id, _ in held]).update(
            not_before=now + timedelta(seconds=hold.seconds), message=hold.message
        )


@transaction.atomic
def settle_resent(
    *, lease: Lease, batch: Batch, result: Result, lost: Sequence[int], gone: Refusal, now: datetime
) -> None:
    """Move records from rejected to delivered on their run, or keep them rejected with what the new attempt said.

    lost: records that are in the log no more. What is in neither outcome stays queued.
    """
    mine = Rejected.objects.filter(shard_id=lease.shard_id)
    accepted = [batch.rows[index].id for index in result.accepted]
    refused = [(record_id, gone) for record_id in lost]
    for index, other in result.others.items():
        record_id, outcome = batch.rows[index].id, batch.outcomes[index]
        if isinstance(other, Hold):
            mine.filter(record_id=record_id).update(resend_at=now + timedelta(seconds=other.seconds))
        elif isinstance(other, Refusal):
            payload = outcome.body.decode() if isinstance(outcome, Encoded) else other.payload
            refused.append((record_id, replace(other, payload=payload)))
    mine.filter(record_id__in=accepted).delete()
    for record_id, refusal in refused:
        mine.filter(record_id=record_id).update(
            reason=refusal.reason,
            field=refusal.field[:120],
            message=refusal.message,
            cure=refusal.cure,
            payload=refusal.payload,
            attempts=F("attempts") + 1,
            resend_at=None,
        )
    queued = mine.filter(resend_at__isnull=False).order_by().values("shard").annotate(first=Min("resend_at"))
    moved = {"delivered": F("delivered") + len(accepted), "rejected": F("rejected") - len(accepted)}
    _update(lease, {**moved, "unconfirmed": result.unconfirmed, "in_flight": 0, "resend_at": queued.values("first")})


def _wait(hold: Hold) -> tuple[float, str]:
    return hold.seconds, hold.message


def mark_in_flight(lease: Lease, records: int) -> None:
    """Note how many records the first request of a slice carries. Raises LeaseLost."""
    _update(lease, {"in_flight": records})


def _additions(sums: Tally) -> dict[str, Any]:
    additions = {
        "delivered": sums.delivered,
        "altered": sums.altered,
        "rejected": len(sums.rejected),
        "held": len(sums.held),
        "skipped": len(sums.skipped),
    }
    return {name: F(name) + number for name, number in additions.items() if number}


def _update(lease: Lease, changes: dict[str, Any]) -> None:
    if not Shard.objects.filter(pk=lease.shard_id, fence=lease.fence).update(**changes):
        raise LeaseLost(f"shard {lease.shard_id} fence {lease.fence}")


def _insert_rows(run: Run, lease: Lease, sums: Tally, *, now: datetime) -> None:
    if sums.rejected:
        Rejected.objects.bulk_create(
            Rejected(
                run=run,
                shard_id=lease.shard_id,
                record_id=record_id,
                reason=refusal.reason,
                field=refusal.field[:120],
                message=refusal.message,
                cure=refusal.cure,
                payload=refusal.payload,
                created_at=now,
            )
            for record_id, refusal in sums.rejected
        )
    if sums.held:
        Held.objects.bulk_create(
            Held(
                export_id=run.export_id,
                shard_id=lease.shard_id,
                record_id=record_id,
                ids=ids,
                not_before=now + timedelta(seconds=hold.seconds),
                message=hold.message,
            )
            for record_id, ids, hold in sums.held
        )
    if sums.skipped:
        _insert_skipped(run, lease, sums.skipped)


def _insert_skipped(run: Run, lease: Lease, skipped: Sequence[tuple[int, Skip]]) -> None:
    shard = Shard.objects.only("skip_reasons").get(pk=lease.shard_id)
    reasons = Counter(shard.skip_reasons)
    reasons.update(skip.reason for _, skip in skipped)
    Shard.objects.filter(pk=lease.shard_id).update(skip_reasons=dict(reasons))
    room = SKIPPED_LISTED - Skipped.objects.filter(run=run).count()
    Skipped.objects.bulk_create(
        Skipped(run=run, shard_id=lease.shard_id, record_id=record_id, reason=skip.reason)
        for record_id, skip in skipped[: max(0, room)]
    )
