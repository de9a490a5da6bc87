"""Deleting the oldest end of the logs, in small steps (docs/decisions/0017-retention.md); people go by events.erasure.

A step deletes records that stand next to each other by position, and moves the log's mark in the same transaction: at
or below the mark something may be missing, above it nothing is.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

from django.db import connection, transaction

from events import positions, rollup
from events.logs import EVENTS, Log
from events.models import PurgedLog

STEP_ROWS = 5_000
Position = tuple[int, int]

OLDEST = """
SELECT id, tx_id, received_at >= %(before)s OR ({time} >= %(from)s AND {time} < %(to)s) IS TRUE FROM {table}
 WHERE project_id = %(project)s AND (tx_id, id) > (%(tx)s, %(row)s) AND (tx_id, id) <= (%(end_tx)s, %(end_row)s)
 ORDER BY tx_id, id LIMIT %(rows)s
"""
DELETE = """
WITH gone AS (DELETE FROM {table} WHERE id = ANY(%s) RETURNING received_at, {time} AS at)
SELECT count(*), max(received_at), max(at) FROM gone
"""


class _Row(NamedTuple):
    id: int
    tx_id: int
    stays: bool


@dataclass(frozen=True)
class Needs:
    """What somebody may still read of a log and must stay, with all that was captured after it.

    floor: everything behind this position. times: what happened in this half-open window. ids: of the records with ids
    from one to another, these.
    """

    floor: Position | None = None
    times: tuple[datetime, datetime] | None = None
    ids: Callable[[int, int], Collection[int]] = lambda _first, _last: ()


@transaction.atomic
def step(*, project_id: int, log: Log, before: datetime, needs: Callable[[], Needs], step_rows: int = STEP_ROWS) -> int:
    """Delete the next records that were received before `before`; returns how many, 0 when none may go now.

    Those that an erasure deletes at the same moment are not among them: they have their tombstones.

    `needs` is asked under the lock that `hold` takes. Harmless beside another one: a log has one step at a time.
    """
    mark = _lock(project_id, log, skip=True)
    if mark is None:
        return 0
    rows = _oldest(mark, log, before, needs(), step_rows)
    if not rows:
        return 0
    with connection.cursor() as cursor:
        # A step that a crash undoes is simply made again: no commit waits for the disk.
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(DELETE.format(table=log.table, time=log.time), [[row.id for row in rows]])
        count, received, happened = cursor.fetchone()
    mark.tx_id, mark.row_id = rows[-1].tx_id, rows[-1].id
    if count:
        mark.received_until = max(mark.received_until or received, received)
        mark.happened_until = max(mark.happened_until or happened, happened)
        mark.records += count
    mark.save()
    return int(count)


def hold(project_id: int, log: Log) -> PurgedLog:
    """The log's mark; until the end of the transaction nothing of it is deleted."""
    mark = _lock(project_id, log, skip=False)
    assert mark is not None
    return mark


def mark_of(project_id: int, log: Log) -> PurgedLog | None:
    """The log's mark; None when nothing was ever deleted."""
    return PurgedLog.objects.filter(project_id=project_id, log=log.table, records__gt=0).first()


def _lock(project_id: int, log: Log, *, skip: bool) -> PurgedLog | None:
    PurgedLog.objects.get_or_create(project_id=project_id, log=log.table)
    rows = PurgedLog.objects.select_for_update(skip_locked=skip, no_key=True)
    return rows.filter(project_id=project_id, log=log.table).first()


def _oldest(mark: PurgedLog, log: Log, before: datetime, needs: Needs, step_rows: int) -> list[_Row]:
    """The oldest records up to the first one that must stay."""
    counted = (rollup.counted_until(mark.project_id), 0) if log is EVENTS else None
    ends = [(positions.horizon(), 0), needs.floor, counted]
    end_tx, end_row = min(end for end in ends if end is not None)
    start, until = needs.times or (None, None)
    values = {"before": before, "from": start, "to": until, "end_tx": end_tx, "end_row": end_row, "rows": step_rows}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")  # walk the index, whatever the statistics say (see events.store)
        query = OLDEST.format(table=log.table, time=log.time)
        cursor.execute(query, {**values, "project": mark.project_id, "tx": mark.tx_id, "row": mark.row_id})
        rows = list(takewhile(lambda row: not row.stays, map(_Row._make, cursor.fetchall())))
    ids = [row.id for row in rows]
    wanted = set(needs.ids(min(ids), max(ids))) if ids else set()
    return list(takewhile(lambda row: row.id not in wanted, rows))
