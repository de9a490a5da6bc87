"""What an export would send: an estimate, and a few real records exactly as the partner would get them.

Those that would not be sent are looked for further on, and shown once for each reason.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson

from events import positions, store
from exports import runs
from exports.delivery.batches import encode_rows, read_page
from exports.models import Axis, Export, Frequency, Run
from exports.spec import ExportSpec, check
from partners.contract import Encoded, Encodings, Refusal, Skip
from projects.models import Project

PAGES = 5  # of PAGE_ROWS rows each: so far a preview looks for records that match
PAGE_ROWS = 2_000
LOOK_AT = 2_000  # records that match, for those that would not be sent: the panel opens in 150 ms
SKIP_REASONS = {"no_identifier": "The record has no identifier that can be sent."}


@dataclass(frozen=True)
class PreviewRecord:
    """payload: the event as JSON, None when nothing would be sent. reason, message and cure speak of a refusal.

    count: how many of those that were looked at share its verdict and reason; 1 for one that would be sent.
    """

    event_name: str
    time: datetime
    verdict: Literal["sent", "rejected", "skipped"]
    payload: dict[str, Any] | None = None
    reason: str = ""
    message: str = ""
    cure: str = ""
    count: int = 1

    @property
    def more(self) -> int:
        """How many there are beside it."""
        return self.count - 1


@dataclass(frozen=True)
class Sample:
    """records: the first ones that would be sent. others: one for each reason why some would not. looked_at: of all."""

    records: list[PreviewRecord] = field(default_factory=list)
    others: list[PreviewRecord] = field(default_factory=list)
    looked_at: int = 0

    @property
    def all(self) -> list[PreviewRecord]:
        return [*self.records, *self.others]

    @property
    def shown(self) -> list[PreviewRecord]:
        """To people what is odd comes first."""
        return [*self.others, *self.records]

    @property
    def verdicts(self) -> str:
        """ "Of the first 2,000 records, 1,988 would be sent, 3 rejected, 9 skipped." Empty when all would be sent."""
        if not self.others:
            return ""
        counts = Counter[str]()
        for record in self.others:
            counts[record.verdict] += record.count
        sent = self.looked_at - counts.total()
        others = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items()))
        first = "the only record" if self.looked_at == 1 else f"the first {self.looked_at:,} records"
        return f"Of {first}, {sent:,} would be sent, {others}."


@dataclass(frozen=True)
class Preview(Sample):
    """estimate: records in the window of a one-time export; those of the last day for one that goes on."""

    estimate: int = 0


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
    found = sample(export, now=now, limit=limit)
    return Preview(found.records, found.others, found.looked_at, runs.estimate(run, runs.log_filter(run)))


def sample(
    export: Export, *, now: datetime, limit: int, frozen: dict[str, Any] | None = None, look_at: int = LOOK_AT
) -> Sample:
    """Of the first `look_at` records of its window. `frozen`: as sent by these settings of a run."""
    run = _run(export, now=now)
    rows = _rows(run, look_at)
    outcomes = encode_rows(rows, runs.encoder(run, frozen or runs.frozen_settings(export), now=now))
    sent = [place for place, body in enumerate(outcomes.bodies) if body][:limit]
    return Sample([_record(rows[place], outcomes[place]) for place in sent], _others(rows, outcomes), len(rows))


def _others(rows: Sequence[store.Row], outcomes: Encodings) -> list[PreviewRecord]:
    unsendable = outcomes.unsendable
    first: dict[tuple[type, str], int] = {}
    for place, outcome in unsendable.items():
        first.setdefault((type(outcome), outcome.reason), place)
    counts = Counter((type(outcome), outcome.reason) for outcome in unsendable.values())
    return [replace(_record(rows[place], unsendable[place]), count=counts[kind]) for kind, place in first.items()]


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
