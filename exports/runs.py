"""Creating runs: which window each one owns, with which frozen settings, cut into how many shards."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from events import catalogue, counts, logs, positions, store
from exports import schedule
from exports.models import Axis, EventChoice, Export, Frequency, Run, Shard
from exports.models.export import ExportQuerySet
from exports_portal.common.log_context import request_id
from partners.contract import EncodeOptions, Encoder
from partners.models import Integration

log = structlog.get_logger("exports")

ON_TIME = timedelta(minutes=1)
CLOCKS_DIFFER = timedelta(days=1)  # at most, between two servers or before and after a step
AT_ONCE = 2_000  # runs that one tick creates
TOGETHER = 500  # in one transaction of well under a second, as it holds up the horizon


def frozen_settings(export: Export, *, sent_before: Run | None = None) -> dict[str, Any]:
    """What a run keeps of its export and integration, so that an edit applies from the next run. No secrets.

    sent_before: the run that may have sent the same records, whose device_id must stay (rule 3).
    """
    integration = dict(export.integration.settings)
    if sent_before is not None:
        integration["device_id_mapping"] = sent_before.settings["integration"]["device_id_mapping"]
    return {
        "partner": export.integration.partner,
        "integration": integration,
        "events": export.events,
        "selected_events": export.selected_events,
        "identifier_priority": export.identifier_priority,
        "excluded_properties": export.excluded_properties,
        "hyphenate_names": export.hyphenate_names,
        "captured_from": received_from.isoformat() if (received_from := _received_from(export)) else None,
    }


def _received_from(export: Export) -> datetime | None:
    """Records that were received earlier do not belong to the export, wherever they stand in the log.

    What a live export owns is told by positions alone; there this only keeps imported history out. So it leaves room
    for clocks that differ between servers, or step back: else what such a server captures would be lost.
    """
    if export.frequency == Frequency.ONE_TIME:
        return None
    return export.captured_from - (CLOCKS_DIFFER if export.frequency == Frequency.LIVE else timedelta(0))


def follow_connection(run: Run) -> bool:
    """Let a run whose partner refuses its key go where the integration points by now; False when it does already.

    The key is read live and works in one region only: a run that kept to the old one could never go on.
    """
    frozen = run.settings["integration"]
    live = Integration.objects.values_list("settings", flat=True).get(pk=run.integration_id)
    moved = {spec.name: live[spec.name] for spec in run.integration.adapter.fields if spec.connects}
    if moved.items() <= frozen.items():
        return False
    run.settings["integration"] = {**frozen, **moved}
    run.save(update_fields=["settings"])
    return True


def encoder(run: Run, frozen: dict[str, Any], *, now: datetime) -> Encoder:
    """Makes payloads of what the run sends, by frozen settings: its own ones or those of today."""
    adapter, options = run.integration.adapter, encode_options(frozen, now=now)
    return adapter.profile_encoder(options) if run.export.of_profiles else adapter.encoder(options)


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


def log_of(run: Run) -> logs.Log:
    """What the run reads, and where its record ids point to."""
    if not run.export.of_profiles:
        return logs.EVENTS
    return logs.people(run.uid) if run.axis == Axis.PERSON else logs.CHANGES


def log_filter(run: Run, *, lane: tuple[int, int] | None = None) -> store.Filter:
    """Which rows of its log belong to a run: its events' ids, its shard's lanes, and the instant of the start."""
    project, frozen = run.export.project, run.settings
    names = {
        EventChoice.ALL: None,
        EventChoice.SELECTED: frozen["selected_events"],
        EventChoice.ENGAGEMENT: catalogue.ENGAGEMENT_EVENTS,
    }[frozen["events"]]
    return store.Filter(
        project_id=project.pk,
        name_ids=None if names is None else tuple(catalogue.name_ids(project, names)),
        lane=lane,
        received_from=captured_from(run),
        log=log_of(run),
    )


def captured_from(run: Run) -> datetime | None:
    """What was received earlier does not belong to the run, wherever it stands in the log; None: nothing is."""
    frozen = run.settings["captured_from"]
    return datetime.fromisoformat(frozen) if frozen else None


def create_due(*, now: datetime, limit: int = AT_ONCE) -> int:
    """Create the runs whose time has come; returns how many. Exports whose last run still reads wait."""
    due = list(_due(now).order_by("next_run_at").values_list("pk", flat=True)[:limit])
    return sum(_create_if_due(due[first : first + TOGETHER], now=now) for first in range(0, len(due), TOGETHER))


def _due(now: datetime) -> ExportQuerySet:
    reading = Run.objects.active().filter(export=OuterRef("pk"), reading=True)
    return Export.objects.due(now).filter(~Exists(reading))


@transaction.atomic
def _create_if_due(export_ids: Sequence[int], *, now: datetime) -> int:
    """Once more under the lock; an export that somebody else holds has its turn at the next tick."""
    rows = (
        _due(now)
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
        .select_related("project", "integration")
    )
    return len(create_windows(list(rows.defer("integration__secrets").filter(pk__in=export_ids)), now=now))


def create_one_time(export: Export, *, now: datetime) -> Run:
    """The only run of a one-time export: its days or all people, up to the ceiling read now."""
    axis, window = one_time_window(export, now=now)
    return _create([_Plan(export, axis, window, (0, positions.ceiling()))], now=now)[0]


def one_time_window(export: Export, *, now: datetime) -> tuple[Axis, tuple[datetime, datetime]]:
    """In which order a one-time export reads, and between which instants: people have no days."""
    if export.of_profiles:
        return Axis.PERSON, (now, now)
    assert export.date_from is not None
    assert export.date_to is not None
    return Axis.TIME, schedule.days_window(export.date_from, export.date_to, export.project.tz)


def create_windows(exports: Sequence[Export], *, now: datetime) -> list[Run]:
    """The next run of each recurring or live export: what was captured since the one before. Moves the cycles on.

    Call it in a transaction that holds the exports' rows.
    """
    horizon = positions.horizon()
    # No window ends before an older one, so the latest run's end is the last one.
    ends = dict(Run.objects.latest_of(exports).values_list("export", "window_end"))
    plans = [_next_window(export, ends.get(export.pk) or export.captured_from, horizon, now) for export in exports]
    for plan in plans:
        export = plan.export
        export.next_tx_id = export.next_tx_id if plan.positions[1] is None else plan.positions[1]
        export.next_run_at = next_run_at(export, after=now)
    Export.objects.bulk_update(exports, ["next_tx_id", "next_run_at"])
    return _create(plans, now=now)


def next_run_at(export: Export, *, after: datetime) -> datetime:
    """When the next window of a recurring or live export ends; never when it begins to capture.

    An export whose cycle was changed captures already, and 12:00 a.m. of its new start is a boundary like any other.
    """
    return schedule.next_of(export.cycle, export.project.tz, after=max(after, export.captured_from))


class _Plan(NamedTuple):
    """A run to be made: its axis, its window for people, and the positions from and until."""

    export: Export
    axis: Axis
    window: tuple[datetime, datetime]
    positions: tuple[int, int | None]


def _next_window(export: Export, start: datetime, horizon: int, now: datetime) -> _Plan:
    start = max(start, export.captured_from)
    if export.cycle is None:
        return _Plan(export, Axis.POSITION, (start, start), (export.next_tx_id, None))
    boundary = schedule.latest_boundary(*export.cycle, export.project.tz, until=now)
    # For people: a run on time ends at its boundary, a late one and Run now at the moment itself.
    on_time = timedelta(0) <= now - boundary < ON_TIME
    end = max(start, boundary if on_time else now)
    return _Plan(export, Axis.POSITION, (start, end), (export.next_tx_id, max(horizon, export.next_tx_id)))


def is_to_end(export: Export, *, now: datetime) -> bool:
    """Whether midnight or an edit asks for the end of the endless run under way."""
    return export.frequency != Frequency.LIVE or (export.next_run_at is not None and export.next_run_at <= now)


@transaction.atomic
def end_live(run: Run, shard: Shard, *, fence: int, now: datetime) -> bool:
    """End an endless run at its cursor if midnight or an edit asks for it; False when none does, or the fence is old.

    The rest of the transaction under the cursor still belongs to it, so that windows meet between two positions.
    """
    export = Export.objects.select_for_update(no_key=True).get(pk=run.export_id)
    wanted = is_to_end(export, now=now)
    mine = Shard.objects.select_for_update(no_key=True).filter(pk=shard.pk, fence=fence, open=True)
    if not wanted or not mine.values_list("pk"):
        return False
    until = max(run.from_tx_id, shard.cursor_tx_id + (1 if shard.cursor_id else 0))
    run.until_tx_id, run.window_end = until, max(run.window_start, now)
    run.save(update_fields=["until_tx_id", "window_end"])
    export.next_tx_id = until
    export.save(update_fields=["next_tx_id"])
    return True


def _create(plans: Sequence[_Plan], *, now: datetime) -> list[Run]:
    exports = [plan.export for plan in plans]
    last = dict(Run.objects.latest_of(exports).values_list("export", "sequence"))
    estimates: dict[Any, int] = {}
    made = []
    for export, axis, window, (from_tx_id, until_tx_id) in plans:
        run = Run(
            export=export,
            integration=export.integration,
            sequence=last.get(export.pk, 0) + 1,
            axis=axis,
            window_start=window[0],
            window_end=window[1],
            from_tx_id=from_tx_id,
            until_tx_id=until_tx_id,
            settings=frozen_settings(export),
            created_at=now,
            request_id=request_id(),
        )
        where = log_filter(run)
        key = (where, axis, window if axis == Axis.TIME or not from_tx_id else None, from_tx_id, until_tx_id)
        if key not in estimates:  # exports of one midnight often ask for the same
            estimates[key] = estimate(run, where)
        run.estimate = estimates[key]
        made.append(run)
    Run.objects.bulk_create(made)
    Shard.objects.bulk_create(shard for run in made for shard in _shards(run))
    for run in made:
        ids = {"project": run.export.project_id, "export": run.export_id, "run": run.pk}
        log.info("run.created", **ids, shards=_parts(run), estimate=run.estimate)
    return made


def _shards(run: Run) -> list[Shard]:
    of = _parts(run)
    return [Shard(run=run, index=index, of=of) for index in range(of)]


def _parts(run: Run) -> int:
    return int(min(settings.PORTAL_MAX_SHARDS, max(1, run.estimate // settings.PORTAL_ROWS_PER_SHARD)))


def estimate(run: Run, where: store.Filter) -> int:
    """About how many records a run will read.

    The first window of a recurring export begins at the log's first position, so its rows tell nothing about how
    many were received since the start: it is reckoned by event time instead.
    """
    if run.is_endless:
        return 0
    if run.axis == Axis.PERSON:
        return counts.estimate(filter=where)
    if run.axis == Axis.TIME:
        return counts.estimate(filter=where, start=run.window_start, end=run.window_end)
    if run.from_tx_id == 0:
        return counts.estimate(filter=where, start=run.window_start, end=run.created_at)
    return counts.estimate(filter=where, from_tx=run.from_tx_id, until_tx=run.until_tx_id)
