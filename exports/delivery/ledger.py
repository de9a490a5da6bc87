"""The ledger: counts, rejected and held rows and cursor move in one transaction, under the fence (rules 2, 4)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from django.db import connection, transaction
from django.db.models import F, Min
from django.db.models.functions import Greatest

from exports import schedule
from exports.delivery.batches import Batch
from exports.delivery.exchange import Hold, Other, Result, ids_of
from exports.delivery.lease import MAY_SEND, Guard, Lease
from exports.models import Axis, Frequency, Held, Rejected, Run, Shard, Skipped
from exports_portal.common.database import copy_rows
from partners.contract import Encoded, Refusal, Skip

SKIPPED_LISTED = 1_000  # per run


class LeaseLost(Exception):
    """Another worker has the shard; nothing was written."""


@dataclass
class Tally:
    """Sums and rows of a settled stretch of records. sendable: those of them that were made to be sent."""

    delivered: int = 0
    altered: int = 0
    sendable: int = 0
    rejected: list[tuple[int, Refusal]] = field(default_factory=list)
    held: list[tuple[int, list[str], Hold]] = field(default_factory=list)
    skipped: list[tuple[int, Skip]] = field(default_factory=list)

    @property
    def read(self) -> int:
        return self.delivered + len(self.rejected) + len(self.held) + len(self.skipped)

    def add(self, record_id: int, outcome: Encoded | Refusal | Skip, other: Other) -> None:
        match other:
            case Refusal():
                self.rejected.append((record_id, _with_payload(other, outcome)))
            case Hold():
                self.held.append((record_id, ids_of(cast(Encoded, outcome)), other))
            case Skip():
                self.skipped.append((record_id, other))


def _with_payload(refusal: Refusal, outcome: Encoded | Refusal | Skip) -> Refusal:
    """A partner's refusal gets the record as it was sent; one of our own has it already."""
    return replace(refusal, payload=outcome.body.decode()) if isinstance(outcome, Encoded) else refusal


def settled_prefix(batch: Batch, result: Result) -> int:
    """How many records from the start have their outcome; the cursor may move over these only."""
    if len(result.accepted) + len(result.others) == len(batch.rows):
        return len(batch.rows)
    settled = {*result.accepted, *result.others}
    return next(index for index in range(len(batch.rows)) if index not in settled)


def tally(batch: Batch, result: Result, count: int) -> Tally:
    """Sums over the first `count` records."""
    accepted = [index for index in result.accepted if index < count]
    changed = {index for index, one in batch.outcomes.odd.items() if isinstance(one, Encoded) and one.altered}
    altered = len(changed.intersection(accepted)) if changed else 0
    sums = Tally(len(accepted), altered, sendable=batch.outcomes[:count].sendable)
    for index, other in sorted(result.others.items()):  # held rows are sent again in the order of their ids
        if index < count:
            sums.add(batch.rows[index].id, batch.outcomes[index], other)
    return sums


# What a live run settles is counted in its hour, too; without an hour nothing changes.
HOURS = """
CASE WHEN %(hour)s::text IS NULL THEN s.hours ELSE jsonb_set(s.hours, ARRAY[%(hour)s::text], jsonb_build_array(
    coalesce((s.hours -> %(hour)s::text ->> 0)::bigint, 0) + %(delivered)s,
    coalesce((s.hours -> %(hour)s::text ->> 1)::bigint, 0) + %(rejected)s)) END
"""
COUNT_HOUR = f"UPDATE exports_shard AS s SET hours = {HOURS} WHERE s.id = %(shard)s"  # noqa: S608 made of constants
# The answer spares the next request a question of its own: a round trip less for each batch.
SETTLE = f"""
UPDATE exports_shard AS s
   SET read = s.read + %(read)s, delivered = s.delivered + %(delivered)s, altered = s.altered + %(altered)s,
       rejected = s.rejected + %(rejected)s, held = s.held + %(held)s, skipped = s.skipped + %(skipped)s,
       cursor_time = coalesce(%(cursor_time)s, s.cursor_time),
       cursor_tx_id = coalesce(%(cursor_tx_id)s, s.cursor_tx_id), cursor_id = coalesce(%(cursor_id)s, s.cursor_id),
       reading = s.reading AND NOT %(last)s, batch_records = coalesce(%(batch_records)s, s.batch_records),
       unconfirmed = greatest(s.unconfirmed - %(sendable)s, %(unconfirmed)s), in_flight = %(in_flight)s,
       refused_in_row = %(refused_in_row)s, control_id = coalesce(%(control_id)s, s.control_id),
       control_at = CASE WHEN %(control_id)s::bigint IS NULL THEN s.control_at ELSE now() END, hours = {HOURS}
 WHERE s.id = %(shard)s AND s.fence = %(fence)s
RETURNING s.lease_until > now(), s.open AND ({MAY_SEND})
"""  # noqa: S608 made of constants

# One value in JSON: arrays of text cost the driver thirty times as much.
REFUSALS = """json_to_recordset(%(refusals)s::json)
       AS n (record_id bigint, reason text, field text, message text, cure text, payload text)"""
REJECT = f"""
INSERT INTO exports_rejected (run_id, shard_id, record_id, reason, field, message, cure, payload, attempts, created_at)
SELECT %(run)s, %(shard)s, n.*, 1, %(now)s FROM {REFUSALS}
"""  # noqa: S608 made of constants
# Nothing is inserted when the shard has another fence.
SETTLE_AND_REJECT = f"""
WITH settled AS ({SETTLE}), kept AS ({REJECT} WHERE EXISTS (SELECT FROM settled)) SELECT * FROM settled
"""  # noqa: S608 made of constants


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
    refused_in_row: int,
    control_id: int | None,
    now: datetime,
) -> Guard:
    """Write what became of a stretch of records and move the cursor behind it; whether a request may follow at once.

    cursor: None leaves it where it is. last: nothing remains to be read. unconfirmed: records behind the cursor that
    were sent just now and may have been taken; those of earlier requests stay unconfirmed until they are settled.
    in_flight: the size of the request that follows at once, so that a worker that dies leaves behind how many records
    it may have sent. control_id: a record that was accepted. Raises LeaseLost.
    """
    values: dict[str, Any] = {**_counts(sums), "read": sums.read, "sendable": sums.sendable}
    values["hour"] = _hour(run, sums, now=now)
    values |= {"cursor_time": None, "cursor_tx_id": None, "cursor_id": None, "last": last, "unconfirmed": unconfirmed}
    values |= {"in_flight": in_flight, "batch_records": batch_records, "refused_in_row": refused_in_row}
    values["control_id"] = control_id
    if cursor is not None:
        values |= {"cursor_time" if run.axis == Axis.TIME else "cursor_tx_id": cursor[0], "cursor_id": cursor[1]}
    if not (sums.held or sums.skipped):  # one statement is a transaction of its own, and one round trip
        return _settle(run, lease, sums, values, now=now)
    with transaction.atomic():
        guard = _settle(run, lease, sums, values, now=now)
        _insert_rows(run, lease, sums, now=now)
    return guard


def _settle(run: Run, lease: Lease, sums: Tally, values: dict[str, Any], *, now: datetime) -> Guard:
    statement = SETTLE_AND_REJECT if sums.rejected else SETTLE
    with connection.cursor() as cursor:
        cursor.execute(statement, {**values, **_rejected(run, lease, sums, now=now), "fence": lease.fence})
        row = cursor.fetchone()
    if row is None:
        raise LeaseLost(f"shard {lease.shard_id} fence {lease.fence}")
    return (Guard.GO if row[1] else Guard.HALT) if row[0] else Guard.LOST


@transaction.atomic
def settle_drained(
    *, run: Run, lease: Lease, sums: Tally, gone: Sequence[int], still: dict[int, Hold], unconfirmed: int, now: datetime
) -> None:
    """Move held records to delivered, rejected or skipped on their original run; `read` stays (rule 2).

    gone: record ids that are held no more. still: record id → the new wait.
    """
    moved = {**_additions(sums), "held": F("held") - len(gone)}
    _update(lease, {**moved, **_again(len(gone), unconfirmed, sums.delivered)})
    if hour := _hour(run, sums, now=now):
        with connection.cursor() as cursor:
            cursor.execute(COUNT_HOUR, {**_counts(sums), "hour": hour, "shard": lease.shard_id})
    if sums.rejected:
        with connection.cursor() as cursor:
            cursor.execute(REJECT, _rejected(run, lease, sums, now=now))
    _insert_rows(run, lease, sums, now=now)
    mine = Held.objects.filter(shard_id=lease.shard_id)
    mine.filter(record_id__in=gone).delete()
    for hold, record_ids in _by_hold(still):
        until = now + timedelta(seconds=hold.seconds)
        mine.filter(record_id__in=record_ids).update(not_before=until, message=hold.message)


@transaction.atomic
def settle_resent(
    *, lease: Lease, batch: Batch, result: Result, lost: Sequence[int], gone: Refusal, now: datetime
) -> None:
    """Move records from rejected to delivered on their run, or keep them rejected with what the new attempt said.

    lost: records that are in the log no more. What is in neither outcome stays queued, unless somebody stopped it
    while the request was out.
    """
    accepted = [batch.rows[index].id for index in result.accepted]
    refused = [(record_id, gone) for record_id in lost]
    waits = {}
    for index, other in result.others.items():
        record_id, outcome = batch.rows[index].id, batch.outcomes[index]
        if isinstance(other, Hold):
            waits[record_id] = other
        elif isinstance(other, Refusal):
            refused.append((record_id, _with_payload(other, outcome)))
    moved = {"delivered": F("delivered") + len(accepted), "rejected": F("rejected") - len(accepted)}
    _update(lease, {**moved, **_again(len(accepted) + len(refused), result.unconfirmed, len(accepted))})
    mine = Rejected.objects.filter(shard_id=lease.shard_id)
    mine.filter(record_id__in=accepted).delete()
    _refuse_again(lease, refused)
    # Statements of their own, after the shard's row is ours: what somebody queued or stopped meanwhile is seen. A stop
    # empties the shard's at once, and those of its records in steps.
    if Shard.objects.filter(pk=lease.shard_id, resend_at__isnull=False).exists():
        for hold, record_ids in _by_hold(waits):
            queued = mine.filter(record_id__in=record_ids, resend_at__isnull=False)
            queued.update(resend_at=now + timedelta(seconds=hold.seconds))
        _update(lease, {"resend_at": mine.aggregate(first=Min("resend_at"))["first"]})


REFUSE_AGAIN = f"""
UPDATE exports_rejected r
   SET reason = n.reason, field = n.field, message = n.message, cure = n.cure, payload = n.payload,
       attempts = r.attempts + 1, resend_at = NULL
  FROM {REFUSALS}
 WHERE r.shard_id = %(shard)s AND r.record_id = n.record_id
"""  # noqa: S608 made of constants


def _refuse_again(lease: Lease, refused: Sequence[tuple[int, Refusal]]) -> None:
    if refused:
        with connection.cursor() as cursor:
            cursor.execute(REFUSE_AGAIN, {"refusals": _refusals(refused), "shard": lease.shard_id})


@transaction.atomic
def postpone(lease: Lease, waits: Mapping[datetime, Sequence[int]]) -> None:
    """Let held records, by row id, rest until what stands before them may go. Raises LeaseLost."""
    _update(lease, {"in_flight_again": 0})
    for not_before, rows in waits.items():
        Held.objects.filter(pk__in=rows).update(not_before=not_before)


def _by_hold(waits: Mapping[int, Hold]) -> Iterator[tuple[Hold, list[int]]]:
    """Record ids by what they wait for: most of them share it."""
    together: dict[Hold, list[int]] = defaultdict(list)
    for record_id, hold in waits.items():
        together[hold].append(record_id)
    yield from together.items()


def mark_in_flight(lease: Lease, records: int, *, again: bool = False) -> None:
    """Note how many records the next request carries; again: held or rejected ones. Raises LeaseLost."""
    _update(lease, {"in_flight_again" if again else "in_flight": records})


def _again(settled: int, unconfirmed: int, delivered: int) -> dict[str, Any]:
    """What follows for the shard from sending held or rejected records again."""
    changes: dict[str, Any] = {"in_flight_again": 0}
    changes["unconfirmed_again"] = Greatest(F("unconfirmed_again") - settled, unconfirmed)
    return changes | ({"refused_in_row": 0} if delivered else {})


def _counts(sums: Tally) -> dict[str, int]:
    return {
        "delivered": sums.delivered,
        "altered": sums.altered,
        "rejected": len(sums.rejected),
        "held": len(sums.held),
        "skipped": len(sums.skipped),
    }


def _hour(run: Run, sums: Tally, *, now: datetime) -> str | None:
    """The local hour in which a live run's records are delivered and rejected now; None when there are none."""
    if run.export.frequency != Frequency.LIVE or not (sums.delivered or sums.rejected):
        return None
    return schedule.local_hour(now, run.export.project.tz).isoformat()


def _additions(sums: Tally) -> dict[str, Any]:
    return {name: F(name) + number for name, number in _counts(sums).items() if number}


def _update(lease: Lease, changes: dict[str, Any]) -> None:
    if not Shard.objects.filter(pk=lease.shard_id, fence=lease.fence).update(**changes):
        raise LeaseLost(f"shard {lease.shard_id} fence {lease.fence}")


def _rejected(run: Run, lease: Lease, sums: Tally, *, now: datetime) -> dict[str, Any]:
    """The values of REJECT."""
    return {"refusals": _refusals(sums.rejected), "run": run.pk, "shard": lease.shard_id, "now": now}


def _refusals(refused: Sequence[tuple[int, Refusal]]) -> str:
    """The value of REFUSALS; record ids beside why."""
    rows = (
        {
            "record_id": key,
            "reason": r.reason,
            "field": r.field[:120],
            "message": r.message,
            "cure": r.cure,
            "payload": r.payload,
        }
        for key, r in refused
    )
    return orjson.dumps(list(rows)).decode()


# Many of a batch may be held: COPY costs a tenth of the ORM's INSERT.
COPY_HELD = "COPY exports_held (export_id, shard_id, record_id, ids, not_before, message) FROM STDIN"


def _insert_rows(run: Run, lease: Lease, sums: Tally, *, now: datetime) -> None:
    if sums.held:
        waits = ((key, ids, now + timedelta(seconds=hold.seconds), hold.message) for key, ids, hold in sums.held)
        copy_rows(COPY_HELD, ((run.export_id, lease.shard_id, *row) for row in waits))
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
