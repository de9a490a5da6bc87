"""Creating runs: which window each one owns, with which frozen settings, cut into how many shards."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, OuterRef

from events import catalogue, positions, store
from exports import schedule
from exports.models import Axis, EventChoice, Export, Frequency, Run, Shard
from partners.contract import EncodeOptions

log = structlog.get_logger("exports")

ON_TIME = timedelta(minutes=1)


def frozen_settings(export: Export) -> dict[str, Any]:
    """What a run keeps of its export and integration, so that an edit applies from the next run. No secrets."""
    return {
        "partner": export.integration.partner,
        "integration": export.integration.settings,
        "events": export.events,
        "selected_events": export.selected_events,
        "identifier_priority": export.identifier_priority,
        "excluded_properties": export.excluded_properties,
        "hyphenate_names": export.hyphenate_names,
        "captured_from": export.captured_from.isoformat() if export.frequency != Frequency.ONE_TIME else None,
    }


def encode_options(frozen: dict[str, Any], *, now: datetime) -> EncodeOptions:
    """The part of the frozen settings that shapes payloads."""
    return EncodeOptions(
        settings=frozen["integration"],
        now=now,
        identifier_priority=tuple(frozen["identifier_priority"]),
        excluded_properties=frozenset(frozen["excluded_properties"]),
        hyphenate_names=frozen["hyphenate_names"],
        one_time=frozen["captured_from"] is None,
    )


def log_filter(frozen: dict[str, Any], *, project: Any, lane: tuple[int, int] | None = None) -> store.Filter:
    """Which rows of the log belong to a run: its events' ids, its shard's lanes, and the instant of the start."""
    names = {
        EventChoice.ALL: None,
        EventChoice.SELECTED: frozen["selected_events"],
        EventChoice.ENGAGEMENT: catalogue.ENGAGEMENT_EVENTS,
    }[frozen["events"]]
    captured_from = frozen["captured_from"]
    return store.Filter(
        project_id=project.pk,
        name_ids=None if names is None else tuple(catalogue.name_ids(project, names)),
        lane=lane,
        received_from=datetime.fromisoformat(captured_from) if captured_from else None,
    )


def create_due(*, now: datetime, limit: int = 200) -> int:
    """Create the runs whose time has come; returns how many. Exports whose last run still reads wait."""
    reading = Run.objects.active().filter(export=OuterRef("pk"), reading=True)
    due = Export.objects.due(now).filter(~Exists(reading)).order_by("next_run_at").values_list("pk", flat=True)
    return sum(_create_if_due(export_id, now=now) for export_id in due[:limit])


@transaction.atomic
def _create_if_due(export_id: int, *, now: datetime) -> bool:
    export = Export.objects.due(now).select_for_update(skip_locked=True, of=("self",)).filter(pk=export_id).first()
    if export is None or export.runs.active().filter(reading=True).exists():
        return False
    create_recurring(export, now=now)
    return True


def create_one_time(export: Export, *, now: datetime) -> Run:
    """The only run of a one-time export: its days by event time, up to the ceiling read now (DESIGN 4)."""
    assert export.date_from is not None
    assert export.date_to is not None
    start, end = schedule.days_window(export.date_from, export.date_to, export.project.tz)
    return _create(export, now=now, axis=Axis.TIME, window=(start, end), positions=(0, positions.ceiling()))


def create_recurring(export: Export, *, now: datetime) -> Run:
    """The next run: everything captured since the one before, up to the horizon; moves the export's cycle on.

    Call it in a transaction that holds the export's row.
    """
    assert export.start_date is not None
    assert export.every_hours is not None
    cycle = (export.start_date, export.every_hours, export.project.tz)
    horizon = max(positions.horizon(), export.next_tx_id)
    start = export.runs.aggregate(end=Max("window_end"))["end"] or export.captured_from
    boundary = schedule.latest_boundary(*cycle, until=now)
    # For people: a run on time ends at its boundary, a late one and Run now at the moment itself.
    end = max(start, boundary if now - boundary < ON_TIME else now)
    run = _create(export, now=now, axis=Axis.POSITION, window=(start, end), positions=(export.next_tx_id, horizon))
    export.next_tx_id = horizon
    export.next_run_at = schedule.next_boundary(*cycle, after=now)
    export.save(update_fields=["next_tx_id", "next_run_at"])
    return run


def _create(
    export: Export, *, now: datetime, axis: Axis, window: tuple[datetime, datetime], positions: tuple[int, int]
) -> Run:
    frozen = frozen_settings(export)
    run = Run(
        export=export,
        sequence=(export.runs.aggregate(last=Max("sequence"))["last"] or 0) + 1,
        axis=axis,
        window_start=window[0],
        window_end=window[1],
        from_tx_id=positions[0],
        until_tx_id=positions[1],
        settings=frozen,
        created_at=now,
    )
    run.estimate = estimate(run, log_filter(frozen, project=export.project))
    run.save()
    of = min(settings.PORTAL_MAX_SHARDS, max(1, run.estimate // settings.PORTAL_ROWS_PER_SHARD))
    Shard.objects.bulk_create([Shard(run=run, index=index, of=of) for index in range(of)])
    log.info("run.created", project=export.project_id, export=export.pk, run=run.pk, shards=of, estimate=run.estimate)
    return run


def estimate(run: Run, where: store.Filter) -> int:
    """About how many records a run will read.

    The first window of a recurring export begins at the log's first position, so its rows tell nothing about how
    many were received since the start: it is reckoned by event time instead.
    """
    if run.axis == Axis.TIME:
        return store.estimate(filter=where, start=run.window_start, end=run.window_end)
    if run.from_tx_id == 0:
        return store.estimate(filter=where, start=run.window_start, end=run.created_at)
    return store.estimate(filter=where, from_tx=run.from_tx_id, until_tx=run.until_tx_id)
