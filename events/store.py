"""The only reader of the event log: bounded pages along two axes, keyset only, made for speed.

Rows come through binary cursors of psycopg itself: measured, that is four times as fast as Django's cursor.
A plain SELECT has no transaction id, so reading never holds up the horizon.
"""

# ruff: noqa: S608 queries are put together from constants of this module; values always travel as parameters

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import psycopg
from django.db import connection

from events.models import Flag

PARSED = Flag.WELL_KNOWN | Flag.PARSE
EXACT_ROWS = 100_000  # an estimate counts that far
NOTHING_ID = 0  # row ids begin at 1: a cursor (key, 0) stands before every row of that key


class EventRow(NamedTuple):
    """One event. `uid` is its insert_id, `properties` JSON text, `occurred_at` and `tx_id` its place on the axes.

    `time_ms` is occurred_at in milliseconds since 1970: the server reckons it beside us, at half Python's price.
    """

    id: int
    uid: str
    name: str
    occurred_at: datetime
    tx_id: int
    person_id: int
    identity: str | None
    clevertap_id: str
    properties: str
    flags: int
    time_ms: int

    @property
    def plain(self) -> bool:
        """Whether the properties may go to a partner as they are, without being parsed."""
        return not self.flags & PARSED


class Page(NamedTuple):
    """`end`: cursor of the last row scanned, matching or not. `exhausted`: nothing is left in the window."""

    rows: list[EventRow]
    end: tuple[Any, int]
    exhausted: bool


@dataclass(frozen=True)
class Filter:
    """Which events of a project match. name_ids None: all names. lane (index, of): those with lane % of == index."""

    project_id: int
    name_ids: tuple[int, ...] | None = None
    lane: tuple[int, int] | None = None
    received_from: datetime | None = None

    def conditions(self) -> tuple[LiteralString, dict[str, Any]]:
        """SQL over the alias `e`, beginning with AND, and its parameters."""
        sql: LiteralString = ""
        if self.name_ids is not None:
            sql += " AND e.name_id = ANY(%(name_ids)s)"
        if self.lane is not None:
            sql += " AND e.lane %% %(lane_of)s = %(lane_index)s"
        if self.received_from is not None:
            sql += " AND e.received_at >= %(received_from)s"
        index, of = self.lane or (0, 1)
        values = {"name_ids": list(self.name_ids or ()), "received_from": self.received_from}
        return sql, {**values, "lane_index": index, "lane_of": of, "project": self.project_id}


COLUMNS: LiteralString = (
    "e.id, e.uid::text, e.name_id, e.occurred_at, e.tx_id, e.person_id, e.identity, e.clevertap_id,"
    " {properties}, e.flags, (date_part('epoch', e.occurred_at) * 1000)::bigint"
)
PROPERTIES = 8  # its place in a row
WHOLE: LiteralString = COLUMNS.format(properties="e.properties::text")
BY_POSITION: LiteralString = """
  FROM events_event
 WHERE project_id = %(project)s AND (tx_id, id) > (%(after)s, %(after_id)s) AND tx_id < %(until_tx)s
 ORDER BY tx_id, id LIMIT %(limit)s
"""
BY_TIME: LiteralString = """
  FROM events_event
 WHERE project_id = %(project)s AND (occurred_at, id) > (%(after)s, %(after_id)s) AND occurred_at < %(end)s
 ORDER BY occurred_at, id LIMIT %(limit)s
"""


@dataclass(frozen=True)
class _Axis:
    """The clause that bounds the rows scanned in its order, and the place of its key in COLUMNS."""

    column: int
    scanned: LiteralString


POSITION, TIME = _Axis(4, BY_POSITION), _Axis(3, BY_TIME)


def read_by_position(*, filter: Filter, from_tx: int, until_tx: int, after: tuple[int, int], limit: int) -> Page:
    """The next page of events with from_tx <= tx_id < until_tx in the order (tx_id, id), after the cursor `after`.

    until_tx must not lie above the horizon. `limit` bounds the rows scanned, not those that match.
    """
    start = max(after, (from_tx, NOTHING_ID))
    return _page(POSITION, filter, start, limit, {"until_tx": until_tx})


def read_by_time(
    *, filter: Filter, start: datetime, end: datetime, until_tx: int, after: tuple[datetime, int], limit: int
) -> Page:
    """The next page of events with start <= occurred_at < end and tx_id < until_tx in the order (occurred_at, id).

    The horizon must have reached until_tx. `limit` bounds the rows scanned, not those that match.
    """
    first = max(after, (start, NOTHING_ID))
    return _page(TIME, filter, first, limit, {"end": end, "until_tx": until_tx}, " AND e.tx_id < %(until_tx)s")


def _page(
    axis: _Axis,
    where: Filter,
    after: tuple[Any, int],
    limit: int,
    bounds: dict[str, Any],
    more: LiteralString = "",
) -> Page:
    """One statement, so one snapshot: the cursor must never pass a row that the rows were not chosen from.

    Rows that do not match come along without their large part, for the cursor.
    """
    if where.name_ids == ():
        end = bounds["end"] if axis is TIME else bounds["until_tx"]
        return Page([], max(after, (end, NOTHING_ID)), exhausted=True)
    conditions, values = where.conditions()
    values |= {**bounds, "after": after[0], "after_id": after[1], "limit": limit}
    with _reader() as run:
        columns = COLUMNS.format(properties=f"CASE WHEN true{conditions}{more} THEN e.properties::text END")
        found = run(f"SELECT {columns} FROM (SELECT * {axis.scanned}) AS e", values)
        rows = _rows(run, [row for row in found if row[PROPERTIES] is not None])
    end = (found[-1][axis.column], found[-1][0]) if found else after
    return Page(rows, end, exhausted=len(found) < limit)


def read_by_ids(project_id: int, ids: Collection[int]) -> dict[int, EventRow]:
    """Events of a project by id; ids that are gone are missing in the answer."""
    if not ids:
        return {}
    query: LiteralString = (
        f"SELECT {WHOLE} FROM events_event e WHERE e.project_id = %(project)s AND e.id = ANY(%(ids)s)"
    )
    with _reader() as run:
        rows = _rows(run, run(query, {"project": project_id, "ids": list(ids)}))
    return {row.id: row for row in rows}


def contacts(person_ids: Collection[int]) -> dict[int, tuple[str | None, str | None]]:
    """Email and phone of people as they are now, by person id."""
    with _reader() as run:
        query: LiteralString = "SELECT id, email, phone FROM events_person WHERE id = ANY(%(ids)s)"
        found = run(query, {"ids": list(set(person_ids))})
    return {person_id: (email, phone) for person_id, email, phone in found}


def estimate(
    *,
    filter: Filter,
    start: datetime | None = None,
    end: datetime | None = None,
    from_tx: int | None = None,
    until_tx: int | None = None,
    exact_rows: int = EXACT_ROWS,
) -> int:
    """How many events match: by time with start and end, by position with from_tx and until_tx.

    Exact when the window holds at most exact_rows events of the project, else reckoned from those first rows.
    """
    if filter.name_ids == ():
        return 0
    axis, after, bounds = (
        (POSITION, from_tx or 0, {"until_tx": until_tx}) if start is None else (TIME, start, {"end": end})
    )
    conditions, values = filter.conditions()
    values |= {**bounds, "after": after, "after_id": NOTHING_ID, "limit": exact_rows + 1}
    with _reader() as run:
        count_query: LiteralString = f"SELECT count(*), count(*) FILTER (WHERE true{conditions}), min(id), max(id)"
        scanned, matching, first_id, last_id = run(f"{count_query} FROM (SELECT * {axis.scanned}) AS e", values)[0]
        if scanned <= exact_rows:
            return int(matching)
        if axis is POSITION:
            whole = _project_rows_until(run, values, first_id) * scanned // (last_id - first_id + 1)
        else:
            whole = _rolled_up_rows(run, values)
    return int(max(scanned, whole) * matching // scanned)


def count_by_position(*, filter: Filter, after: tuple[int, int], cursor: tuple[int, int]) -> int:
    """How many events match with after < (tx_id, id) <= cursor."""
    between: LiteralString = "(tx_id, id) > (%(after)s, %(after_id)s) AND (tx_id, id) <= (%(to)s, %(to_id)s)"
    return _count(filter, between, {"after": after[0], "after_id": after[1], "to": cursor[0], "to_id": cursor[1]})


def count_by_time(*, filter: Filter, start: datetime, until_tx: int, cursor: tuple[datetime, int]) -> int:
    """How many events match with start <= occurred_at, (occurred_at, id) <= cursor and tx_id < until_tx."""
    between: LiteralString = (
        "occurred_at >= %(start)s AND (occurred_at, id) <= (%(to)s, %(to_id)s) AND tx_id < %(until_tx)s"
    )
    return _count(filter, between, {"start": start, "until_tx": until_tx, "to": cursor[0], "to_id": cursor[1]})


def _count(where: Filter, between: LiteralString, bounds: dict[str, Any]) -> int:
    if where.name_ids == ():
        return 0
    conditions, values = where.conditions()
    query: LiteralString = (
        f"SELECT count(*) FROM events_event e WHERE project_id = %(project)s AND {between}{conditions}"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, {**values, **bounds})
        return int(cursor.fetchone()[0])


def _project_rows_until(run: Any, values: dict[str, Any], first_id: int) -> int:
    """Row ids of any project from first_id to the end of the window: ids are given out nearly in position order."""
    query: LiteralString = """
        SELECT id FROM events_event WHERE project_id = %(project)s AND tx_id < %(until_tx)s
         ORDER BY tx_id DESC, id DESC LIMIT 1
    """
    return int(run(query, values)[0][0]) - first_id + 1


def _rolled_up_rows(run: Any, values: dict[str, Any]) -> int:
    """Events on the local days that the window touches; a little behind the log."""
    query: LiteralString = """
        SELECT coalesce(sum(d.count), 0)::bigint
          FROM events_dailycount d
          JOIN events_eventname n ON n.id = d.name_id
          JOIN projects_project p ON p.id = n.project_id
         WHERE p.id = %(project)s
           AND d.day >= (%(after)s::timestamptz AT TIME ZONE p.timezone)::date
           AND d.day <= ((%(end)s::timestamptz - interval '1 microsecond') AT TIME ZONE p.timezone)::date
    """
    return int(run(query, values)[0][0])


def _rows(run: Any, found: Sequence[tuple[Any, ...]]) -> list[EventRow]:
    names = _names(run, {row[2] for row in found})
    new = tuple.__new__  # half the time of EventRow(…), and this is the hottest line of a delivery
    return [
        new(EventRow, (id_, uid, names[name_id], at, tx_id, person, identity, device, properties, flags, ms))
        for id_, uid, name_id, at, tx_id, person, identity, device, properties, flags, ms in found
    ]


def _names(run: Any, ids: set[int]) -> dict[int, str]:
    """Read for each page: a cache could outlive a restored dump, and a page has few names."""
    if not ids:
        return {}
    return dict(run("SELECT id, name FROM events_eventname WHERE id = ANY(%(ids)s)", {"ids": list(ids)}))


@contextmanager
def _reader() -> Iterator[Any]:
    """run(query, values) → rows, on this thread's connection, planned to walk an index in order.

    Statistics know nothing of rows that came since the last ANALYZE. The planner then expects a handful, sorts the
    whole rest of the window for every page, and reading a burst takes quadratic time. So sorting large inputs is
    ruled out for these statements; SET and RESET travel with the query in one round trip.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        raw = connection.connection
        assert raw is not None
        cursor: psycopg.Cursor[tuple[Any, ...]] = psycopg.Cursor(raw)

        def run(query: LiteralString, values: dict[str, Any]) -> list[tuple[Any, ...]]:
            try:
                with raw.pipeline():
                    raw.execute("SET enable_sort = off")
                    cursor.execute(query, values, binary=True)
                    raw.execute("RESET enable_sort")
            except psycopg.Error:
                connection.close()  # it may still have the setting
                raise
            return cursor.fetchall()

        yield run


RECENT = 20_000  # rows: how far back `latest` looks for one person


def latest(project_id: int, limit: int, *, person_id: int | None = None) -> list[EventRow]:
    """The last events received, newest first; of one person: those among the project's last RECENT events."""
    query: LiteralString = f"""
        SELECT {WHOLE} FROM (
            SELECT * FROM events_event WHERE project_id = %(project)s ORDER BY tx_id DESC, id DESC LIMIT %(recent)s
        ) AS e
         WHERE %(person)s::bigint IS NULL OR e.person_id = %(person)s
         ORDER BY e.tx_id DESC, e.id DESC LIMIT %(limit)s
    """
    recent = limit if person_id is None else RECENT
    values = {"project": project_id, "recent": recent, "person": person_id, "limit": limit}
    with _reader() as run:
        return _rows(run, run(query, values))
