"""The only reader of the event log: bounded keyset pages along both axes (DESIGN 4).

A page is a range of `limit` scanned rows, whatever matches, so that an idle filtered export moves on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import psycopg
from django.db import connection

from events.models import EventName, Flag, Person

EXACT_UP_TO = 100_000
NOT_PLAIN = Flag.WELL_KNOWN | Flag.PARSE


class EventRow(NamedTuple):
    """One event. `properties` is JSON text."""

    id: int
    uid: str
    name: str
    tx_id: int
    occurred_at: datetime
    person_id: int
    identity: str | None
    clevertap_id: str
    properties: str
    flags: int

    @property
    def time_ms(self) -> int:
        """The time of the event in milliseconds since 1970, UTC."""
        return round(self.occurred_at.timestamp() * 1000)

    @property
    def plain(self) -> bool:
        """Whether `properties` may go to a partner as it is."""
        return not self.flags & NOT_PLAIN


class Page(NamedTuple):
    """rows that match; `end` is the cursor behind the last row scanned; exhausted: nothing lies behind it."""

    rows: list[EventRow]
    end: tuple[Any, int]
    exhausted: bool


@dataclass(frozen=True)
class Filter:
    """Which rows match. name_ids None: every event. lane: (index, of)."""

    project_id: int
    name_ids: tuple[int, ...] | None = None
    lane: tuple[int, int] | None = None
    received_from: datetime | None = None

    def matches(self) -> tuple[str, list[Any]]:
        """SQL for the columns of `p`, and its parameters."""
        conditions, values = ["true"], []
        if self.name_ids is not None:
            conditions.append("p.name_id = ANY(%s)")
            values.append(list(self.name_ids))
        if self.lane is not None:
            conditions.append("p.lane %% %s = %s")
            values += [self.lane[1], self.lane[0]]
        if self.received_from is not None:
            conditions.append("p.received_at >= %s")
            values.append(self.received_from)
        return " AND ".join(conditions), values


COLUMNS = """
p.id, p.uid::text, p.name_id, p.tx_id, p.occurred_at, p.person_id, p.identity, p.clevertap_id, {properties}, p.flags
"""
NAME, PROPERTIES = 2, 8
# Every row of the range comes along, for the cursor; of those that do not match, without its large part.
PAGE = """
SELECT {columns} FROM (
    SELECT * FROM events_event WHERE project_id = %s AND {range} ORDER BY {key}, id LIMIT %s) AS p
 ORDER BY p.{key}, p.id
"""
IF_MATCHING = "CASE WHEN {matches} THEN p.properties::text END"


def _fetch(query: str, values: list[Any]) -> list[tuple[Any, ...]]:
    """Rows in PostgreSQL's binary format, which psycopg reads three times as fast as text."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(query, values, prepare=True, binary=True).fetchall()


@cache
def _name(name_id: int) -> str:
    """Names never change, so each process asks for each of them once."""
    return EventName.objects.values_list("name", flat=True).get(pk=name_id)


def _event(row: tuple[Any, ...]) -> EventRow:
    return EventRow(*row[:NAME], _name(row[NAME]), *row[NAME + 1 :])


def read_by_position(*, filter: Filter, from_tx: int, until_tx: int, after: tuple[int, int], limit: int) -> Page:
    """The next rows with from_tx <= tx_id < until_tx behind `after`, in order of (tx_id, id)."""
    start = max(after, (from_tx, 0))
    return _page(filter, "tx_id", "(tx_id, id) > (%s, %s) AND tx_id < %s", [*start, until_tx], after, limit)


def read_by_time(
    *, filter: Filter, start: datetime, end: datetime, until_tx: int, after: tuple[datetime, int], limit: int
) -> Page:
    """The next rows with start <= occurred_at < end and tx_id < until_tx behind `after`, by (occurred_at, id)."""
    begin = max(after, (start, 0))
    where = "(occurred_at, id) > (%s, %s) AND occurred_at < %s AND tx_id < %s"
    return _page(filter, "occurred_at", where, [*begin, end, until_tx], after, limit)


def _page(filter: Filter, key: str, where: str, bounds: list[Any], after: tuple[Any, int], limit: int) -> Page:
    matches, values = filter.matches()
    columns = COLUMNS.format(properties=IF_MATCHING.format(matches=matches))
    query = PAGE.format(range=where, key=key, columns=columns)
    found = _fetch(query, [*values, filter.project_id, *bounds, limit])
    if not found:
        return Page([], after, True)
    last = _event(found[-1])
    rows = [_event(row) for row in found if row[PROPERTIES] is not None]
    return Page(rows, (getattr(last, key), last.id), len(found) < limit)


def read_by_ids(project_id: int, ids: Sequence[int]) -> dict[int, EventRow]:
    """Rows by id; ids that are gone are missing."""
    columns = COLUMNS.format(properties="p.properties::text")
    query = f"SELECT {columns} FROM events_event p WHERE p.project_id = %s AND p.id = ANY(%s)"  # noqa: S608 - constants
    return {row[0]: _event(row) for row in _fetch(query, [project_id, list(ids)])}


def contacts(person_ids: Sequence[int]) -> dict[int, tuple[str | None, str | None]]:
    """person id → (email, phone) as they are now."""
    people = Person.objects.filter(pk__in=set(person_ids)).values_list("pk", "email", "phone")
    return {key: (email, phone) for key, email, phone in people}


def estimate(
    *,
    filter: Filter,
    start: datetime | None = None,
    end: datetime | None = None,
    from_tx: int = 0,
    until_tx: int | None = None,
) -> int:
    """How many rows match: exact up to 100,000, the planner's guess beyond."""
    matches, values = filter.matches()
    conditions, bounds = ["p.project_id = %s"], [filter.project_id]
    for column, low, high in (("occurred_at", start, end), ("tx_id", from_tx or None, until_tx)):
        if low is not None:
            conditions.append(f"p.{column} >= %s")
            bounds.append(low)
        if high is not None:
            conditions.append(f"p.{column} < %s")
            bounds.append(high)
    query = f"SELECT 1 FROM events_event p WHERE {' AND '.join(conditions)} AND {matches}"  # noqa: S608 - constants
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({query} LIMIT %s) AS rows", [*bounds, *values, EXACT_UP_TO + 1])  # noqa: S608 - constants
        exact = cursor.fetchone()[0]
        if exact <= EXACT_UP_TO:
            return int(exact)
        cursor.execute(f"EXPLAIN (FORMAT JSON) {query}", [*bounds, *values])
        return max(exact, int(cursor.fetchone()[0][0]["Plan"]["Plan Rows"]))
