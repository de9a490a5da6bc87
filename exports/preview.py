"""What an export would send: an estimate, and a few real records exactly as the partner would get them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson

from events import positions, store
from exports import runs, schedule
from exports.delivery.batches import encode_rows
from exports.models import Export, Frequency
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
    """estimate: records in the window of a one-time export; of the last day for a recurring one."""

    records: list[PreviewRecord]
    estimate: int


def preview(*, project: Project, spec: ExportSpec, now: datetime, limit: int = 10) -> Preview:
    """Look at what `spec` would send, without creating or sending anything. Raises Invalid."""
    integration = check(spec, project=project, now=now)
    export = Export(project=project, captured_from=now)
    export.apply(spec, integration)
    return of_export(export, now=now, limit=limit)


def of_export(export: Export, *, now: datetime, limit: int = 10) -> Preview:
    """The same for an export that may or may not be saved."""
    start, end = _window(export, now=now)
    return Preview(sample(export, now=now, limit=limit), store.estimate(filter=_where(export), start=start, end=end))


def sample(export: Export, *, now: datetime, limit: int) -> list[PreviewRecord]:
    """The first records of its window, without counting the others."""
    start, end = _window(export, now=now)
    encoder = export.integration.adapter.encoder(runs.encode_options(runs.frozen_settings(export), now=now))
    rows = _rows(_where(export), start, end, limit)
    return [_record(*pair) for pair in zip(rows, encode_rows(rows, encoder), strict=True)]


def _where(export: Export) -> store.Filter:
    return runs.log_filter({**runs.frozen_settings(export), "captured_from": None}, project=export.project)


def _window(export: Export, *, now: datetime) -> tuple[datetime, datetime]:
    if export.frequency == Frequency.ONE_TIME:
        assert export.date_from is not None
        assert export.date_to is not None
        return schedule.days_window(export.date_from, export.date_to, export.project.tz)
    return now - timedelta(days=1), now


def _rows(where: store.Filter, start: datetime, end: datetime, limit: int) -> list[store.EventRow]:
    rows: list[store.EventRow] = []
    after: tuple[datetime, int] = (start, 0)
    until = positions.horizon()
    for _ in range(PAGES):
        page = store.read_by_time(filter=where, start=start, end=end, until_tx=until, after=after, limit=PAGE_ROWS)
        rows += page.rows
        if page.exhausted or len(rows) >= limit:
            break
        after = page.end
    return rows[:limit]


def _record(row: store.EventRow, outcome: Encoded | Refusal | Skip) -> PreviewRecord:
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
