"""Reads a shard's part of the log and cuts it into batches of encoded records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from events import store
from exports import runs
from exports.models import Axis, Run, Shard
from partners.contract import NO_CONTACT, Contact, Encoded, Encoder, Limits, Refusal, Skip

PAGE_ROWS = 4_000  # rows scanned by one query
SCAN_ROWS = 40_000  # a batch is handed over after this many, full or not, so that idle filters checkpoint too

Outcome = Encoded | Refusal | Skip


class Entry(NamedTuple):
    """One record and what the encoder made of it."""

    record_id: int
    cursor: tuple[Any, int]
    outcome: Outcome


@dataclass
class Batch:
    """Records in log order. `end` is the cursor once all of them are settled, also over rows that do not match."""

    end: tuple[Any, int]
    entries: list[Entry] = field(default_factory=list)
    bytes: int = 0
    last: bool = False

    @property
    def sendable(self) -> int:
        return sum(isinstance(entry.outcome, Encoded) for entry in self.entries)


def encode_rows(rows: Sequence[store.EventRow], encoder: Encoder) -> Iterator[tuple[store.EventRow, Outcome]]:
    """Each row with its payload; the people's contacts of a page are fetched together."""
    wanting = [row.person_id for row in rows if encoder.wants_contact(row)]
    contacts = {key: Contact(*value) for key, value in store.contacts(wanting).items()} if wanting else {}
    for row in rows:
        yield row, encoder.encode(row, contacts.get(row.person_id, NO_CONTACT))


def start_of(shard: Shard, run: Run) -> tuple[Any, int]:
    """The shard's cursor on its run's axis."""
    if run.axis == Axis.TIME:
        return (shard.cursor_time or run.window_start, shard.cursor_id)
    return (shard.cursor_tx_id, shard.cursor_id)


class BatchReader:
    """Iterates over the batches that remain of a shard; one database connection, that of its thread."""

    def __init__(self, run: Run, shard: Shard, encoder: Encoder, limits: Limits) -> None:
        self._run = run
        self.encoder = encoder
        self._limits = Limits(min(limits.records, shard.batch_records), limits.bytes)
        self._after = start_of(shard, run)
        lane = (shard.index, shard.of) if shard.of > 1 else None
        self._filter = runs.log_filter(run.settings, project=run.export.project, lane=lane)

    def __iter__(self) -> Iterator[Batch]:
        batch, scanned = Batch(self._after), 0
        exhausted = False
        while not exhausted:
            page = self._page()
            exhausted, self._after = page.exhausted, page.end
            scanned += PAGE_ROWS
            for row, outcome in encode_rows(page.rows, self.encoder):
                size = len(outcome.body) + 1 if isinstance(outcome, Encoded) else 0
                if len(batch.entries) >= self._limits.records or batch.bytes + size > self._limits.bytes:
                    yield batch
                    batch, scanned = Batch(batch.end), 0
                cursor = self._cursor(row)
                batch.entries.append(Entry(row.id, cursor, outcome))
                batch.bytes += size
                batch.end = cursor
            batch.end, batch.last = page.end, exhausted
            if exhausted or scanned >= SCAN_ROWS:
                yield batch
                batch, scanned = Batch(page.end), 0

    def _page(self) -> store.Page:
        run = self._run
        if run.axis == Axis.TIME:
            return store.read_by_time(
                filter=self._filter,
                start=run.window_start,
                end=run.window_end,
                until_tx=run.until_tx_id,
                after=self._after,
                limit=PAGE_ROWS,
            )
        return store.read_by_position(
            filter=self._filter,
            from_tx=run.from_tx_id,
            until_tx=run.until_tx_id,
            after=self._after,
            limit=PAGE_ROWS,
        )

    def _cursor(self, row: store.EventRow) -> tuple[datetime | int, int]:
        return (row.occurred_at if self._run.axis == Axis.TIME else row.tx_id, row.id)
