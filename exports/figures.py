"""What the portal does right now, in numbers: what /metrics and `manage.py status` tell alike."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, QuerySet

from events import positions
from exports.lag import lags
from exports.models import Export, Run, Status
from exports.totals import Totals, totals
from partners.models import Integration


@dataclass(frozen=True)
class Behind:
    """How far a live export is behind what is captured."""

    project: str
    export: int
    seconds: float


@dataclass(frozen=True)
class Figures:
    """All read from the database at one moment, so every process tells the same.

    exports: by status. failing: active exports that the last request failed for. attention: those a person must mend.
    setup_faults: connected integrations by partner. due_seconds: how long the oldest run that could have started has
    waited for a worker, or for being created. horizon_seconds: for how long a transaction holds up all reading.
    """

    exports: dict[str, int]
    totals: Totals
    failing: int
    attention: int
    setup_faults: dict[str, int]
    behind: list[Behind]
    due_seconds: float
    horizon_seconds: float


def figures(*, now: datetime) -> Figures:
    """Some ten queries, whose cost is set by what is active and not by how many runs there were."""
    active = Export.objects.active()
    writer = positions.oldest_writer()
    return Figures(
        exports={str(status): 0 for status in Status} | _counts_of(Export.objects.values_list("status")),
        totals=totals(),
        failing=active.filter(failing_since__isnull=False).count(),
        attention=active.filter(failing_since__isnull=False, needs_attention=True).count(),
        setup_faults=_counts_of(Integration.objects.connected().exclude(setup_fault="").values_list("partner")),
        behind=_behind(now),
        due_seconds=_due_seconds(now),
        horizon_seconds=0.0 if writer is None else writer.seconds,
    )


def _counts_of(rows: QuerySet[Any, Any]) -> dict[str, int]:
    """How many there are of each value."""
    return dict(rows.annotate(count=Count("pk")).order_by())


def _behind(now: datetime) -> list[Behind]:
    live = {export.pk: export for export in Export.objects.live().select_related("project")}
    return [Behind(live[pk].project.account_id, pk, lag.seconds) for pk, lag in lags(live.values(), now=now).items()]


def _due_seconds(now: datetime) -> float:
    """Runs that wait for an integration to be mended, or for the run before them, are not late."""
    reading = Run.objects.active().filter(export=OuterRef("pk"), reading=True)
    due = Export.objects.due(now).filter(~Exists(reading), integration__setup_fault="")
    waiting = Run.objects.filter(status=Status.PENDING, integration__setup_fault="", integration__paused_until=None)
    oldest = [
        due.aggregate(oldest=Min("next_run_at"))["oldest"],
        waiting.aggregate(oldest=Min("created_at"))["oldest"],
    ]
    return max(((now - moment).total_seconds() for moment in oldest if moment), default=0.0)
