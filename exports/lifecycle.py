"""Every change of an export's or a run's status. Nothing else writes `status` (rule 11).

Each move stands in MOVES, is one guarded UPDATE (the race is lost when no row changed) and leaves an audit
entry in the same transaction.
"""

from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Sum

from exports.models import Export, Frequency, Rejected, Run, Shard, Status
from exports_portal.common import audit
from exports_portal.common.audit import PORTAL, Actor

log = structlog.get_logger("exports")

AT_ONCE = 10_000  # rows in one transaction

MOVES: dict[str, dict[Status, Status]] = {
    "start": {Status.PENDING: Status.RUNNING},
    "wait": {Status.RUNNING: Status.PENDING},  # a recurring export between two runs
    "finish": {Status.RUNNING: Status.DONE},
    "stop": {Status.PENDING: Status.STOPPED, Status.RUNNING: Status.STOPPED},
}


def _move(row: Export | Run, verb: str, *, by: Actor, now: datetime, detail: dict[str, Any], **changes: Any) -> bool:
    """Move `row` by `verb`; False when its status does not allow it (any more). Writes the audit entry.

    `changes` are plain values of further columns; `row` has them afterwards, and is not read again.
    """
    moves = MOVES[verb]
    for old, new in moves.items():
        changed = type(row).objects.filter(pk=row.pk, status=old).update(status=new, **changes)
        if changed:
            export = row if isinstance(row, Export) else row.export
            audit.record(
                action=f"{row._meta.model_name}.{verb}",
                by=by,
                now=now,
                project_id=export.project_id,
                target=row,
                before={"status": old},
                after={"status": new, **detail},
            )
            for name, value in {"status": new, **changes}.items():
                setattr(row, name, value)
            return True
    return False


def _lock(export_id: int) -> None:
    """All moves take the export's row first, so that two of them wait for each other instead of deadlocking.

    No key: whoever settles holds a shard and inserts rows that refer to the export, which must not wait for a move
    that waits for the shard.
    """
    Export.objects.select_for_update(no_key=True).only("pk").get(pk=export_id)


@transaction.atomic
def run_started(run: Run, *, now: datetime) -> bool:
    """A worker took up the run's first shard. The export starts with it."""
    _lock(run.export_id)
    if not _move(run, "start", by=PORTAL, now=now, detail={}, started_at=now):
        return False
    Export.objects.filter(pk=run.export_id).update(exported_on=now)
    _move(run.export, "start", by=PORTAL, now=now, detail={"run": run.pk})
    log.info("run.started", project=run.export.project_id, export=run.export_id, run=run.pk, estimate=run.estimate)
    return True


@transaction.atomic
def shard_read(shard: Shard, *, now: datetime) -> bool:
    """A shard's cursor is at its end: close it unless it has held records to drain. Returns whether it is closed.

    A run of which no shard reads lets the next one read; one of which no shard is open is DONE. Idempotent.
    """
    # The export's row is locked and read in one go, as in `_lock`.
    run = Run.objects.select_related("export").select_for_update(of=("export",), no_key=True).get(pk=shard.run_id)
    closed = bool(Shard.objects.filter(pk=shard.pk, reading=False, held=0).update(open=False))
    shards = list(run.shards.values_list("open", "reading"))
    if not any(reading for _, reading in shards):
        Run.objects.filter(pk=run.pk).update(reading=False)
    if not any(is_open for is_open, _ in shards):
        _finish(run, now=now)
    return closed


def _finish(run: Run, *, now: datetime) -> None:
    if not _move(run, "finish", by=PORTAL, now=now, detail={}, finished_at=now):
        return
    counts = run.shards.aggregate(**{name: Sum(name) for name in ("read", "delivered", "rejected", "skipped")})
    log.info("run.done", project=run.export.project_id, export=run.export_id, run=run.pk, **counts)
    if run.export.frequency == Frequency.ONE_TIME:
        _move(run.export, "finish", by=PORTAL, now=now, detail={"run": run.pk}, next_run_at=None)
    elif run.export.frequency == Frequency.RECURRING and not run.export.runs.active().exists():
        _move(run.export, "wait", by=PORTAL, now=now, detail={"run": run.pk})


def stop(export: Export, *, by: Actor, now: datetime, reason: str = "", user: Any = None) -> bool:
    """Stop an export and its runs at once. False when it was DONE or STOPPED already.

    Its shards are closed, so no worker takes them up; a request that is out now is still counted when its
    answer comes, as settling asks for the fence and not for the status.
    """
    detail = {"reason": reason} if reason else {}
    with transaction.atomic():
        _lock(export.pk)
        Shard.objects.filter(run__export=export, resend_at__isnull=False).update(resend_at=None)
        ends = {"stop_reason": reason, "stopped_by": user, "next_run_at": None, "updated_at": now}
        ends |= {"last_error": "", "needs_attention": False, "failing_since": None}  # nothing waits any more
        stopped = _move(export, "stop", by=by, now=now, detail=detail, **ends)
        for run in export.runs.active() if stopped else ():
            _move(run, "stop", by=by, now=now, detail=detail, finished_at=now, last_error="")
            run.shards.update(open=False)
    _forget_queued(export)
    if stopped:
        log.info("export.stopped", project=export.project_id, export=export.pk, by=by.name, reason=reason or None)
    return stopped


def _forget_queued(export: Export) -> None:
    """Rejected records that waited to be sent again wait no more. In small steps, as a write holds up the horizon."""
    queued = Rejected.objects.filter(run__export=export, resend_at__isnull=False)
    while some := list(queued.values_list("pk", flat=True)[:AT_ONCE]):
        Rejected.objects.filter(pk__in=some).update(resend_at=None)
