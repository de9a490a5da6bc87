"""What an export would send: an estimate, and a few real records exactly as the partner would get them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson

from events import positions, store
from exports import runs
from exports.delivery.batches import encode_rows, read_page
from exports.models import Axis, Export, Frequency, Run
from exports.spec import ExportSpec, check
from partners.contract import Encoded, Refusal, Skip
from projects.models import Project

PAGES = 5  # of PAGE_ROWS rows each: so far a preview looks for records that match
PAGE_ROWS = 2_000
SKIP_REASONS = {"no_identifier": "The record has no identifier that can be sent."}


@dataclass(frozen=True)
class PreviewRecord:
    """payload: the event as JSON, None when nothing would be sent. reason, message and cure speak of a refusal."""

    event_name: str
    time: datetime
    verdict: Literal["sent", "rejected", "skipped"]
    payload: dict[str, Any] | None = None
    reason: str = ""
    message: str = ""
    cure: str = ""


@dataclass(frozen=True)
class Preview:
    """estimate: records in the window of a one-time export; those of the last day for one that goes on."""

    records: list[PreviewRecord]
    estimate: int


def preview(
    *, project: Project, spec: ExportSpec, now: datetime, limit: int = 10, previous: ExportSpec | None = None
) -> Preview:
    """Look at what `spec` would send, without creating or sending anything. `previous`: as of check. Raises Invalid."""
    integration = check(spec, project=project, now=now, previous=previous)
    export = Export(project=project, captured_from=now)
    export.apply(spec, integration)
    return of_export(export, now=now, limit=limit)


def of_export(export: Export, *, now: datetime, limit: int = 10) -> Preview:
    """The same for an export that may or may not be saved."""
    run = _run(export, now=now)
    return Preview(sample(export, now=now, limit=limit), runs.estimate(run, runs.log_filter(run)))


def sample(export: Export, *, now: datetime, limit: int, frozen: dict[str, Any] | None = None) -> list[PreviewRecord]:
    """The first records of its window, without counting the others. `frozen`: as sent by these settings of a run."""
    run = _run(export, now=now)
    rows = _rows(run, limit)
    outcomes = encode_rows(rows, runs.encoder(run, frozen or runs.frozen_settings(export), now=now))
    return [_record(*pair) for pair in zip(rows, outcomes, strict=True)]


def _run(export: Export, *, now: datetime) -> Run:
    """A run over what is shown, never saved: the window of a one-time export, the last day for one that goes on."""
    axis, window = Axis.TIME, (now - timedelta(days=1), now)
    if export.frequency == Frequency.ONE_TIME:
        axis, window = runs.one_time_window(export, now=now)
    run = Run(export=export, integration=export.integration, axis=axis, until_tx_id=0)
    run.window_start, run.window_end = window
    run.settings = {**runs.frozen_settings(export), "captured_from": None}
    if axis == Axis.PERSON:
        run.uid = _uid(export)
    return run


def _uid(export: Export) -> UUID:
    """Of its only run, so that people are shown with their insert_ids; until there is one, the same at each look."""
    return (export.runs.values_list("uid", flat=True).first() if export.pk else None) or UUID(int=0)


def _rows(run: Run, limit: int) -> list[store.Row]:
    rows: list[store.Row] = []
    after: tuple[Any, int] = (0 if run.axis == Axis.PERSON else run.window_start, 0)
    where, until = runs.log_filter(run), positions.horizon()
    for _ in range(PAGES):
        page = read_page(run, where, until=until, after=after, limit=PAGE_ROWS)
        rows += page.rows
        if page.exhausted or len(rows) >= limit:
            break
        after = page.end
    return rows[:limit]


def _record(row: store.Row, outcome: Encoded | Refusal | Skip) -> PreviewRecord:
    match outcome:
        case Encoded():
            return PreviewRecord(row.name, row.occurred_at, "sent", orjson.loads(outcome.body))
        case Refusal():
            payload = orjson.loads(outcome.payload) if outcome.payload else None
            return PreviewRecord(
                row.name, row.occurred_at, "rejected", payload, outcome.reason, outcome.message, outcome.cure
            )
        case Skip():
            message = SKIP_REASONS.get(outcome.reason, outcome.reason)
            return PreviewRecord(row.name, row.occurred_at, "skipped", None, outcome.reason, message)
