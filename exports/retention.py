"""Deletes what a project keeps no longer, in small steps, and never what an active export may still read.

What each step may take stands in docs/decisions/0017-retention.md. `manage.py purge` and a task call `purge`.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic, sleep

import structlog
from django.db import connection, transaction
from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet

from events import purge as logs_purge
from events.logs import CHANGES, EVENTS, Log
from exports.models import Axis, Export, ExportType, Frequency, Held, PurgeMark, Rejected, Run, Shard, Skipped, Status
from exports.models.purged import KEPT_COUNTS
from exports.runs import CLOCKS_DIFFER
from exports_portal.common import audit
from projects.models import Project

log = structlog.get_logger("retention")

STEP_ROWS = 5_000
ROWS_PER_RUN = 50  # a run has some shards, and is gone through in memory
LONGEST_PAUSE = 0.5  # seconds; a step is followed by a pause of its own length, so that half the disk is left to others
ENDED = (Status.DONE, Status.STOPPED)

Step = Callable[[], int | None]  # how many rows it deleted; None: nothing is left for now

FOLD = """
INSERT INTO exports_purgedruns AS p (export_id, runs, {names})
SELECT r.export_id, count(DISTINCT r.id), {sums} FROM exports_run r JOIN exports_shard s ON s.run_id = r.id
 WHERE r.id = ANY(%s) GROUP BY r.export_id ORDER BY r.export_id
ON CONFLICT (export_id) DO UPDATE SET runs = p.runs + excluded.runs, {added}
""".format(
    names=", ".join(KEPT_COUNTS),
    sums=", ".join(f"sum(s.{name})" for name in KEPT_COUNTS).replace(
        "sum(s.unconfirmed)", "sum(s.unconfirmed + s.unconfirmed_again)"
    ),
    added=", ".join(f"{name} = p.{name} + excluded.{name}" for name in KEPT_COUNTS),
)
DELETE_REJECTED = """
WITH gone AS (DELETE FROM exports_rejected WHERE id = ANY(%s) AND resend_at IS NULL RETURNING shard_id)
UPDATE exports_shard s SET rejected_purged = s.rejected_purged + g.count
  FROM (SELECT shard_id, count(*) AS count FROM gone GROUP BY shard_id) AS g WHERE s.id = g.shard_id
"""


@dataclass
class Purged:
    """How many rows of each kind were deleted. is_complete: nothing more is to be deleted now."""

    counts: dict[Project, Counter[str]] = field(default_factory=dict)
    is_complete: bool = True


def purge(
    *,
    now: datetime,
    projects: Iterable[Project] | None = None,
    seconds: float = float("inf"),
    step_rows: int = STEP_ROWS,
) -> Purged:
    """Delete what is to go by the policies of these projects (all of them); begins no step after `seconds`.

    Projects and kinds take turns, a step each. Harmless beside another one.
    """
    chosen = Project.objects.order_by("pk") if projects is None else projects
    waiting = deque((project, kind, step) for project in chosen for kind, step in _steps(project, now, step_rows))
    started, result = monotonic(), Purged()
    while waiting and monotonic() - started < seconds:
        project, kind, step = waiting.popleft()
        began = monotonic()
        deleted = step()
        if deleted is None:
            continue
        waiting.append((project, kind, step))
        if deleted:
            result.counts.setdefault(project, Counter())[kind] += deleted
        sleep(min(LONGEST_PAUSE, monotonic() - began))
    result.is_complete = not waiting
    for project, counts in result.counts.items():
        log.info("retention.purged", project=project.pk, **counts, seconds=round(monotonic() - started, 1))
    return result


def _steps(project: Project, now: datetime, rows: int) -> Iterator[tuple[str, Step]]:
    """Runs go before the rest of what they hold, and before the records that they are recounted from."""
    if project.keep_runs_days is not None:
        yield "runs", partial(_purge_runs, project, _before(now, project.keep_runs_days), rows)
    if project.keep_rejected_days is not None:
        yield "rejected", partial(_purge_rejected, project, _before(now, project.keep_rejected_days), rows)
    if project.keep_events_days is not None:
        before = _before(now, project.keep_events_days)
        yield "events", partial(_purge_log, project, EVENTS, before, rows)
        yield "profile_updates", partial(_purge_log, project, CHANGES, before, rows)
    if project.keep_audit_days is not None:
        yield "audit", partial(_purge_audit, project, _before(now, project.keep_audit_days), rows)


def _before(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)


def _purge_audit(project: Project, before: datetime, rows: int) -> int | None:
    return audit.purge(project_id=project.pk, before=before, limit=rows) or None


def _purge_log(project: Project, of: Log, before: datetime, rows: int) -> int | None:
    asks = partial(needs, project, of, before)
    return logs_purge.step(project_id=project.pk, log=of, before=before, needs=asks, step_rows=rows) or None


def needs(project: Project, of: Log, before: datetime) -> logs_purge.Needs:
    """What may still be read of a log: by active exports, as far as it was received before `before`, or by a resend."""
    kind = ExportType.USER_PROFILES if of is CHANGES else ExportType.EVENTS
    active = list(Export.objects.active().filter(project=project, type=kind))
    shards = Shard.objects.filter(run__in=Run.objects.active().filter(export__in=active), reading=True)
    days = shards.filter(run__axis=Axis.TIME).aggregate(start=Min("run__window_start"), end=Max("run__window_end"))
    return logs_purge.Needs(
        floor=_floor([export for export in active if _captures_from(export) < before], shards),
        times=(days["start"], days["end"]) if days["start"] else None,
        ids=partial(_referred_to, project, kind, active),
    )


def _captures_from(export: Export) -> datetime:
    """Nothing that was received earlier belongs to it (exports.runs)."""
    return export.captured_from - (CLOCKS_DIFFER if export.frequency == Frequency.LIVE else timedelta(0))


def _floor(exports: Iterable[Export], reading: QuerySet[Shard]) -> logs_purge.Position | None:
    """The hindmost place that one of these goes on from: the cursor of the run that reads, else its next window."""
    found: dict[int, logs_purge.Position] = {}
    places = reading.values_list("run__export_id", "run__from_tx_id", "cursor_tx_id", "cursor_id")
    for export_id, from_tx_id, tx_id, record_id in places:
        place = max((from_tx_id, 0), (tx_id, record_id))
        found[export_id] = min(found.get(export_id, place), place)
    going_on = [export for export in exports if export.frequency != Frequency.ONE_TIME]
    return min((found.get(export.pk, (export.next_tx_id, 0)) for export in going_on), default=None)


def _referred_to(project: Project, kind: str, active: Sequence[Export], first: int, last: int) -> list[int]:
    """Of the records with ids from one to another, those that are held, or rejected and queued to be sent again."""
    held = Held.objects.filter(export__in=active)
    queued = Rejected.objects.filter(resend_at__isnull=False, run__export__project=project, run__export__type=kind)
    in_log = (held.exclude(shard__run__axis=Axis.PERSON), queued.exclude(run__axis=Axis.PERSON))
    return [key for rows in in_log for (key,) in rows.filter(record_id__range=(first, last)).values_list("record_id")]


@transaction.atomic
def _purge_rejected(project: Project, before: datetime, rows: int) -> int | None:
    """The records of the next runs that ended before, but for those that are queued to be sent again."""
    mark = _mark(project, PurgeMark.Kind.REJECTED)
    runs = _ended(project, mark, before, rows) if mark else []
    if mark is None or not runs:
        return None
    return _delete_records(runs, rows) or _go_on(mark, runs)


@transaction.atomic
def _purge_runs(project: Project, before: datetime, rows: int) -> int | None:
    """The next runs that ended before, with all they have; their counts stay with the export."""
    mark = _mark(project, PurgeMark.Kind.RUNS)
    runs = _ended(project, mark, before, rows) if mark else []
    if mark is None or not runs:
        return None
    list(Shard.objects.select_for_update(no_key=True).filter(run__in=runs).order_by("pk"))  # nobody queues a resend
    spare = set(_spare(runs).values_list("pk", flat=True))
    gone = [run for run in runs if run.pk in spare]
    if _delete_records(gone, rows):
        return 0  # not yet the runs themselves
    with connection.cursor() as cursor:
        cursor.execute(FOLD, [[run.pk for run in gone]])
    Run.objects.filter(pk__in=[run.pk for run in gone]).delete()
    _go_on(mark, runs)
    return len(gone)


def _mark(project: Project, kind: str) -> PurgeMark | None:
    """Locked; None when somebody else is at it."""
    PurgeMark.objects.get_or_create(project=project, kind=kind)
    return PurgeMark.objects.select_for_update(skip_locked=True).filter(project=project, kind=kind).first()


def _ended(project: Project, mark: PurgeMark, before: datetime, rows: int) -> list[Run]:
    """The next runs behind the mark, in the order in which they ended."""
    behind = Run.objects.filter(finished_at__lt=before, status__in=ENDED, export__project=project)
    if mark.finished_at is not None:
        later = Q(finished_at__gt=mark.finished_at) | Q(finished_at=mark.finished_at, pk__gt=mark.run_id)
        behind = behind.filter(later, finished_at__gte=mark.finished_at)
    return list(behind.order_by("finished_at", "pk").only("finished_at", "export_id")[: rows // ROWS_PER_RUN + 1])


def _go_on(mark: PurgeMark, runs: Sequence[Run]) -> int:
    mark.finished_at, mark.run_id = runs[-1].finished_at, runs[-1].pk
    mark.save(update_fields=["finished_at", "run_id"])
    return 0


def _spare(runs: Sequence[Run]) -> QuerySet[Run]:
    """Runs that nothing goes on from: not the last of their export, in the totals, all read, nothing held or queued."""
    later = Run.objects.filter(export=OuterRef("export"), sequence__gt=OuterRef("sequence"))
    goes_on = Q(held__gt=0) | Q(reading=True) | Q(resend_at__isnull=False) | Q(counted=False)
    waits = Shard.objects.filter(goes_on, run=OuterRef("pk"))
    return Run.objects.filter(Exists(later), ~Exists(waits), pk__in=[run.pk for run in runs])


def _delete_records(runs: Sequence[Run], rows: int) -> int:
    """At most so many rejected, then skipped records of these runs; 0 when there are none (any more)."""
    rejected = Rejected.objects.filter(run__in=runs, resend_at=None).order_by("run", "reason", "pk")
    if found := dict(rejected.values_list("pk", "shard_id")[:rows]):
        # The shards before the records, as whoever settles does.
        list(Shard.objects.select_for_update(no_key=True).filter(pk__in=set(found.values())).order_by("pk"))
        with connection.cursor() as cursor:
            cursor.execute(DELETE_REJECTED, [list(found)])
        return len(found)
    skipped = list(Skipped.objects.filter(run__in=runs).values_list("pk", flat=True)[:rows])
    Skipped.objects.filter(pk__in=skipped).delete()
    return len(skipped)
