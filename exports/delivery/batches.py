"""Reads a shard's part of the log and cuts it into batches of encoded records."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from events import positions, store
from exports import runs
from exports.models import Axis, Run, Shard
from partners.contract import Contact, Encoder, Encodings, Limits

PAGE_ROWS = 2_000  # rows scanned by one query, for each shard that shares them
NOTHING = Encodings((), [], {})
SCAN_ROWS = 40_000  # a batch is handed over after this many, full or not, so that idle filters checkpoint too


@dataclass
class Batch:
    """Rows in log order and, beside them, what the encoder made of each.

    end: the cursor once all of them are settled, also over rows that do not match. last: nothing lies behind it.
    """

    rows: list[store.Row]
    outcomes: Encodings
    end: tuple[Any, int]
    last: bool = False


def encode_rows(rows: Sequence[store.Row], encoder: Encoder) -> Encodings:
    """What the encoder makes of each row; the contacts of their people are fetched together."""
    return encoder.encode(rows, _contacts)


def _contacts(person_ids: Iterable[int]) -> dict[int, Contact]:
    return {key: Contact(*value) for key, value in store.contacts(list(person_ids)).items()}


def fitting(outcomes: Encodings, limits: Limits) -> int:
    """How many of the outcomes fit into one request, by count and by bytes; at least one."""
    count = min(len(outcomes), limits.records)
    sizes = [len(body) + 1 for body in outcomes.bodies[:count]]  # with its comma
    if sum(sizes) <= limits.bytes:
        return count
    return max(1, sum(total <= limits.bytes for total in accumulate(sizes)))


def start_of(shard: Shard, run: Run) -> tuple[Any, int]:
    """The shard's cursor on its run's axis."""
    if run.axis == Axis.TIME:
        return (shard.cursor_time or run.window_start, shard.cursor_id)
    return (shard.cursor_tx_id, shard.cursor_id)


def read_page(run: Run, where: store.Filter, *, until: int, after: tuple[Any, int], limit: int) -> store.Page:
    """The next page of what a run reads, on its axis; `until` is a position."""
    if run.axis == Axis.TIME:
        return store.read_by_time(
            filter=where, start=run.window_start, end=run.window_end, until_tx=until, after=after, limit=limit
        )
    if run.axis == Axis.PERSON:
        return store.read_people(filter=where, until_tx=until, after=after, limit=limit)
    return store.read_by_position(filter=where, from_tx=run.from_tx_id, until_tx=until, after=after, limit=limit)


class BatchReader:
    """Makes the batches that remain of a shard."""

    def __init__(self, run: Run, shard: Shard, encoder: Encoder, limits: Limits) -> None:
        self.encoder = encoder
        self._run = run
        self._until = positions.horizon() if run.until_tx_id is None else run.until_tx_id
        self.is_cut_short = shard.batch_records < limits.records  # after 413
        self.limits = Limits(min(limits.records, shard.batch_records), limits.bytes)
        self._after = start_of(shard, run)
        self._page_rows = PAGE_ROWS * shard.of
        lane = (shard.index, shard.of) if shard.of > 1 else None
        self._filter = runs.log_filter(run, lane=lane)

    def only_the_next(self, records: int) -> None:
        """Read no more than these in a batch, after which the caller stops."""
        self.limits = Limits(min(self.limits.records, records), self.limits.bytes)

    def _pages(self) -> Generator[store.Page, None, None]:
        exhausted = False
        while not exhausted:
            page = read_page(self._run, self._filter, until=self._until, after=self._after, limit=self._page_rows)
            exhausted, self._after = page.exhausted, page.end
            yield page

    def batches(self) -> Generator[Batch, None, None]:
        """Encodes no more than a batch at a time, so that encoding and sending take turns evenly."""
        rows: list[store.Row] = []
        outcomes = NOTHING
        scanned = 0
        for page in self._pages():
            scanned += self._page_rows
            for first in range(0, len(page.rows), self.limits.records):
                if len(rows) == self.limits.records:  # full, and more follows
                    yield Batch(rows, outcomes, self.cursor(rows[-1]))
                    rows, outcomes, scanned = [], NOTHING, 0
                part = page.rows[first : first + self.limits.records]
                rows = [*rows, *part]
                outcomes += encode_rows(part, self.encoder)
                while (count := fitting(outcomes, self.limits)) < len(rows):
                    yield Batch(rows[:count], outcomes[:count], self.cursor(rows[count - 1]))
                    rows, outcomes, scanned = rows[count:], outcomes[count:], 0
            if page.exhausted or len(rows) == self.limits.records or scanned >= SCAN_ROWS:
                yield Batch(rows, outcomes, page.end, last=page.exhausted)
                rows, outcomes, scanned = [], NOTHING, 0

    def cursor(self, row: store.Row) -> tuple[Any, int]:
        """The place of a row on the run's axis."""
        return (row.occurred_at if self._run.axis == Axis.TIME else row.tx_id, row.id)
