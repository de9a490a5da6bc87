"""Recounts runs from the logs and people, and says what differs from their ledger (`manage.py check_ledger`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any

from django.db import connection, transaction

from events import counts, purge, store
from events.logs import erased
from exports import runs
from exports.models import Axis, Export, Frequency, Held, PurgedRuns, Rejected, Run, Shard, Skipped, Status
from exports.models.export import is_accounted_for, settled


@dataclass(frozen=True)
class Report:
    """One run, recounted. `counted` is what the log holds up to the cursors; `differences` are sentences for ops.

    `erased`: rows there that were deleted with their person. The run may have read them before, or not at all.
    is_purged: the log may hold fewer of its records than it read, as the project keeps them no longer.
    """

    run_id: int
    export_id: int
    status: str
    read: int
    counted: int
    erased: int
    differences: tuple[str, ...]
    is_purged: bool = False


@contextmanager
def one_snapshot() -> Iterator[None]:
    """All counts inside are of the same instant, while workers go on. Holds up neither them nor the horizon."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def check(*, run_id: int | None = None) -> Iterator[Report]:
    """A report of each run, or of one. Call it inside `one_snapshot`. Memory does not grow with the records."""
    found = Run.objects.select_related("export__project").order_by("pk")
    for run in (found if run_id is None else found.filter(pk=run_id)).iterator():
        shards = list(run.shards.order_by("index"))
        where = runs.log_filter(run)
        gone = replace(where, log=erased(where.log))
        is_purged = _is_purged(run)
        in_log = [shard.taken_over + _counted(run, shard, where) for shard in shards]
        erasures = [_counted(run, shard, gone) for shard in shards]
        differences = [
            *chain.from_iterable(map(_of_log, shards, in_log, erasures, repeat(is_purged))),
            *chain.from_iterable(map(_of_shard, shards)),
            *_of_cut(shards),
            *_of_status(run, shards),
            *_of_window(run),
        ]
        read = sum(shard.read for shard in shards)
        what = (run.pk, run.export_id, run.status, read, sum(in_log), sum(erasures))
        yield Report(*what, tuple(differences), is_purged)


def _is_purged(run: Run) -> bool:
    """Whether the retention policy may have deleted records of its window."""
    gone = None if run.axis == Axis.PERSON else purge.mark_of(run.export.project_id, runs.log_of(run))
    if gone is None or gone.received_until is None or gone.happened_until is None:
        return False
    if run.axis == Axis.TIME:
        return run.window_start <= gone.happened_until
    captured_from = runs.captured_from(run)
    return run.from_tx_id <= gone.tx_id and (captured_from is None or captured_from <= gone.received_until)


def _counted(run: Run, shard: Shard, where: store.Filter) -> int:
    """Rows up to the shard's cursor."""
    where = replace(where, lane=(shard.index, shard.of) if shard.of > 1 else None)
    if run.axis == Axis.PERSON:
        assert run.until_tx_id is not None
        return counts.count_people(filter=where, until_tx=run.until_tx_id, cursor=(0, shard.cursor_id))
    if run.axis == Axis.TIME:
        if shard.cursor_time is None:
            return 0
        assert run.until_tx_id is not None
        cursor = (shard.cursor_time, shard.cursor_id)
        return counts.count_by_time(filter=where, start=run.window_start, until_tx=run.until_tx_id, cursor=cursor)
    start = max((run.from_tx_id, store.NOTHING_ID), (shard.start_tx_id, shard.start_id))
    cursor_at = (shard.cursor_tx_id, shard.cursor_id)
    return counts.count_by_position(filter=where, after=start, cursor=cursor_at)


def _of_log(shard: Shard, counted: int, erased: int, is_purged: bool) -> Iterator[str]:
    most = shard.read if is_purged else counted + erased
    if not counted <= shard.read <= most:
        name = f"shard {shard.index} of {shard.of}"
        yield f"{name}: the log has {counted:,} records up to its cursor, the ledger has read {shard.read:,}"


def _of_shard(shard: Shard) -> Iterator[str]:
    name = f"shard {shard.index} of {shard.of}"
    held = Held.objects.filter(shard=shard).count()
    rejected = Rejected.objects.filter(shard=shard).count()
    listed = Skipped.objects.filter(shard=shard).count()
    if not is_accounted_for(shard):
        yield f"{name}: {shard.read:,} were read, but {settled(shard):,} are delivered, rejected, held or skipped"
    if shard.rejected != rejected + shard.rejected_purged:
        yield (
            f"{name}: {shard.rejected:,} are counted as rejected, {rejected:,} are kept and "
            f"{shard.rejected_purged:,} are purged"
        )
    if shard.held != held:
        yield f"{name}: {shard.held:,} are counted as held, {held:,} are kept"
    if shard.skipped != sum(shard.skip_reasons.values()):
        yield f"{name}: {shard.skipped:,} are counted as skipped, {sum(shard.skip_reasons.values()):,} have a reason"
    if listed > shard.skipped:
        yield f"{name}: {listed:,} skipped records are listed, {shard.skipped:,} are counted"


def _of_cut(shards: list[Shard]) -> Iterator[str]:
    """Together the shards must have every lane once."""
    if [(shard.index, shard.of) for shard in shards] != [(index, len(shards)) for index in range(len(shards))]:
        yield f"its {len(shards)} shards do not share all lanes among them"


def _of_status(run: Run, shards: list[Shard]) -> Iterator[str]:
    if run.status != Status.DONE:
        return
    if any(shard.reading for shard in shards):
        yield "it is DONE, but a shard has not read to the end of its window"
    held = sum(shard.held for shard in shards)
    if held:
        yield f"it is DONE, but {held:,} records are held"


def _of_window(run: Run) -> Iterator[str]:
    """Windows of a recurring or live export meet: what one leaves out the next one must have."""
    if run.has_ceiling:
        return
    following = Run.objects.filter(export=run.export_id, sequence__gt=run.sequence).order_by("sequence").first()
    if following and following.sequence > run.sequence + 1 and PurgedRuns.objects.filter(export=run.export_id).exists():
        return
    begins = following.from_tx_id if following else _next_position(run.export)
    if run.until_tx_id is not None and begins is not None and begins != run.until_tx_id:
        what = "run begins" if following else "window will begin"
        yield f"its window ends at position {run.until_tx_id}, the next {what} at {begins}"


def _next_position(export: Export) -> int | None:
    going_on = export.frequency != Frequency.ONE_TIME and export.is_active
    return export.next_tx_id if going_on else None


def as_dict(report: Report) -> dict[str, Any]:
    """For JSON, with the names of the REST API."""
    return {
        "run": report.run_id,
        "export": report.export_id,
        "status": report.status,
        "read": report.read,
        "counted": report.counted,
        "erased": report.erased,
        "differences": list(report.differences),
        "purged": report.is_purged,
    }
