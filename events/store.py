"""What exports read of the logs and of people: bounded pages along three axes, keyset only, made for speed.

Rows come through binary cursors of psycopg itself: measured, that is four times as fast as Django's cursor.
A plain SELECT has no transaction id, so reading never holds up the horizon.
"""

# ruff: noqa: S608 queries are put together from constants of this module; values always travel as parameters

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import uuid5

import psycopg
from django.db import connection
from psycopg.types.string import ByteaBinaryLoader

from events.logs import EVENTS, Log, ProfileRow, moment
from events.models import Flag

PARSED = Flag.WELL_KNOWN | Flag.PARSE
NOTHING_ID = 0  # row ids begin at 1: a cursor (key, 0) stands before every row of that key


class EventRow(NamedTuple):
    """One event. `uid` is its insert_id, `properties` JSON text, `time_us` and `tx_id` its place on the axes.

    `plain`: the properties may go to a partner as they are, without being parsed.
    """

    id: int
    uid: bytes
    name: str
    time_us: int
    tx_id: int
    person_id: int
    identity: str | None
    clevertap_id: str
    properties: bytes
    time_ms: int
    plain: bool

    @property
    def occurred_at(self) -> datetime:
        return moment(self.time_us)

    @property
    def removed(self) -> Sequence[str]:
        """An event takes no properties away."""
        return ()


Row = EventRow | ProfileRow


class Page(NamedTuple):
    """`end`: cursor of the last row scanned, matching or not. `exhausted`: nothing is left in the window."""

    rows: Sequence[Row]
    end: tuple[Any, int]
    exhausted: bool


@dataclass(frozen=True)
class Filter:
    """Which rows of a project match. name_ids None: all names. lane (index, of): those with lane % of == index.

    known: names of event types met so far, by id. Keep no filter for longer than a slice: a restored dump may give
    other names to the ids.
    """

    project_id: int
    name_ids: tuple[int, ...] | None = None
    lane: tuple[int, int] | None = None
    received_from: datetime | None = None
    log: Log = EVENTS
    known: dict[int, str] = field(default_factory=dict, compare=False)

    @property
    def is_selective(self) -> bool:
        """Whether many rows will not match."""
        return self.name_ids is not None or self.lane is not None

    def conditions(self) -> tuple[LiteralString, dict[str, Any]]:
        """SQL over the alias `e`, beginning with AND, and its parameters."""
        sql: LiteralString = ""
        if self.name_ids is not None:
            sql += " AND e.name_id = ANY(%(name_ids)s)"
        if self.lane is not None:
            sql += f" AND {self.log.lane} %% %(lane_of)s = %(lane_index)s"
        if self.received_from is not None:
            sql += " AND e.received_at >= %(received_from)s"
        index, of = self.lane or (0, 1)
        values = {"name_ids": list(self.name_ids or ()), "received_from": self.received_from}
        return sql, {**values, "lane_index": index, "lane_of": of, "project": self.project_id}


BODY = 8  # its place in a row
BY_POSITION: LiteralString = """
  FROM {table} AS e
 WHERE project_id = %(project)s AND (tx_id, id) > (%(after)s, %(after_id)s) AND tx_id < %(until_tx)s
"""
BY_TIME: LiteralString = """
  FROM {table} AS e
 WHERE project_id = %(project)s AND ({time}, id) > (%(after)s, %(after_id)s) AND {time} < %(end)s
"""
# With project_id = … the planner might walk the primary key instead, over the people of all projects.
BY_PERSON: LiteralString = """
  FROM {table} AS e
 WHERE (project_id, id) > (%(project)s, %(after_id)s) AND (project_id, id) < (%(project)s + 1, 0)
"""
BELOW: LiteralString = " AND e.tx_id < %(until_tx)s"


@dataclass(frozen=True)
class _Axis:
    """The clauses that bound the rows of a window behind a cursor, and the column that orders them, before the id.

    They want the names of a log, see `of`. column: where a row has the first part of its place in this order.
    """

    column: int
    window: LiteralString
    key: LiteralString

    @property
    def order(self) -> LiteralString:
        return f"ORDER BY {self.key}, id"

    @property
    def scanned(self) -> LiteralString:
        """The first rows of the window, to be selected from."""
        return f"{self.window} {self.order} LIMIT %(limit)s"

    def place(self, row: Sequence[Any]) -> tuple[Any, int]:
        """The cursor that stands behind the row."""
        first = row[self.column]
        return (moment(first) if self is TIME else first), row[0]

    def end(self, bounds: dict[str, Any], seen: tuple[Any, int]) -> tuple[Any, int]:
        """The cursor once nothing is left in the window and its last rows were not seen: they are never scanned again.

        Where a window has no upper bound, the last row seen.
        """
        bound = {TIME: bounds.get("end"), POSITION: bounds.get("until_tx")}.get(self)
        return seen if bound is None else max(seen, (bound, NOTHING_ID))

    def of(self, log: Log) -> "_Axis":
        names: dict[str, LiteralString] = {"table": log.table, "time": log.time}
        return replace(self, window=self.window.format(**names), key=self.key.format(**names))


POSITION, TIME = _Axis(4, BY_POSITION, "tx_id"), _Axis(3, BY_TIME, "{time}")
PERSON = _Axis(4, BY_PERSON, "project_id")


def read_by_position(*, filter: Filter, from_tx: int, until_tx: int, after: tuple[int, int], limit: int) -> Page:
    """The next page of rows with from_tx <= tx_id < until_tx in the order (tx_id, id), after the cursor `after`.

    until_tx must not lie above the horizon. `limit` bounds the rows scanned, not those that match.
    """
    start = max(after, (from_tx, NOTHING_ID))
    return _page(POSITION, filter, start, limit, {"until_tx": until_tx})


def read_by_time(
    *, filter: Filter, start: datetime, end: datetime, until_tx: int, after: tuple[datetime, int], limit: int
) -> Page:
    """The next page of rows with start <= time < end and tx_id < until_tx in the order (time, id).

    The horizon must have reached until_tx. `limit` bounds the rows scanned, not those that match.
    """
    first = max(after, (start, NOTHING_ID))
    return _page(TIME, filter, first, limit, {"end": end, "until_tx": until_tx}, BELOW)


def read_people(*, filter: Filter, until_tx: int, after: tuple[int, int], limit: int) -> Page:
    """The next page of people made below until_tx, each as they are now, in the order (0, id).

    The horizon must have reached until_tx: then nobody can join them any more.
    """
    return _page(PERSON, filter, after, limit, {"until_tx": until_tx}, BELOW)


def _page(
    axis: _Axis,
    where: Filter,
    after: tuple[Any, int],
    limit: int,
    bounds: dict[str, Any],
    more: LiteralString = "",
) -> Page:
    """Rows that do not match come along without their large part, for the cursor; where many will not, none of them.

    Then the index alone tells first where the page ends: a row below the ceiling cannot appear between two statements.
    A lane is even, so its page usually needs no such end: it is full with as many rows as `limit` has for each lane.
    """
    if where.name_ids == ():
        return Page([], axis.end(bounds, after), exhausted=True)
    conditions, values = where.conditions()
    values |= {**bounds, "after": after[0], "after_id": after[1], "limit": limit}
    log, of = where.log, axis.of(where.log)
    wanted: LiteralString = f"true{conditions}{more}"
    with reader() as run:
        if not where.is_selective:
            columns = log.columns.format(body=f"CASE WHEN {wanted} THEN {log.body} END")
            found = run(f"SELECT {columns} {of.scanned}", values)
            rows = _records(run, log, [row for row in found if row[BODY] is not None], where.known)
            return Page(rows, axis.place(found[-1]) if found else after, exhausted=len(found) < limit)
        columns = log.columns.format(body=log.body)
        if where.lane is not None and where.name_ids is None:
            full = max(1, limit // where.lane[1])
            query: LiteralString = f"SELECT {columns} FROM (SELECT * {of.scanned}) AS e WHERE {wanted} LIMIT %(full)s"
            found = run(query, {**values, "limit": 2 * limit, "full": full})
            if len(found) == full:
                return Page(_records(run, log, found, where.known), axis.place(found[-1]), exhausted=False)
        last = run(f"SELECT {of.key}, id {of.window} {of.order} OFFSET %(limit)s - 1 LIMIT 1", values)
        until: LiteralString = ""
        if last:
            until = f"AND ({of.key}, id) <= (%(last)s, %(last_id)s)"
            values |= {"last": last[0][0], "last_id": last[0][1]}
        found = run(f"SELECT {columns} {of.window} {until} AND {wanted} {of.order}", values)
        rows = _records(run, log, found, where.known)
    if last:
        return Page(rows, (after[0] if axis is PERSON else last[0][0], last[0][1]), exhausted=False)
    return Page(rows, axis.end(bounds, axis.place(found[-1]) if found else after), exhausted=True)


def read_by_ids(project_id: int, ids: Collection[int], log: Log = EVENTS) -> dict[int, Row]:
    """Rows of a project by id; ids that are gone are missing in the answer."""
    if not ids:
        return {}
    columns = log.columns.format(body=log.body)
    query: LiteralString = (
        f"SELECT {columns} FROM {log.table} e WHERE e.project_id = %(project)s AND e.id = ANY(%(ids)s)"
    )
    with reader() as run:
        rows = _records(run, log, run(query, {"project": project_id, "ids": list(ids)}), {})
    return {row.id: row for row in rows}


def contacts(person_ids: Collection[int]) -> dict[int, tuple[str | None, str | None]]:
    """Email and phone of people as they are now, by person id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, email, phone FROM events_person WHERE id = ANY(%s)", [list(set(person_ids))])
        return {person_id: (email, phone) for person_id, email, phone in cursor.fetchall()}


def _records(run: Any, log: Log, found: Sequence[tuple[Any, ...]], known: dict[int, str]) -> Sequence[Row]:
    if log is EVENTS:
        return _rows(run, found, known)
    if log.namespace is None:
        return [ProfileRow._make((*row, row[3] // 1000)) for row in found]
    # The CleverTap ID stands for the person: it never changes, and row ids repeat after a restore.
    uids = (str(uuid5(log.namespace, row[7])).encode() for row in found)
    return [ProfileRow._make((row[0], uid, *row[2:], row[3] // 1000)) for row, uid in zip(found, uids, strict=True)]


def _rows(run: Any, found: Sequence[tuple[Any, ...]], names: dict[int, str]) -> list[EventRow]:
    if missing := {row[2] for row in found} - names.keys():
        query: LiteralString = "SELECT id, name FROM events_eventname WHERE id = ANY(%(ids)s)"
        names.update(run(query, {"ids": list(missing)}))
    new = tuple.__new__  # half the time of EventRow(…), and this is the hottest line of a delivery
    return [
        new(
            EventRow,
            (id_, uid, names[name], us, tx_id, person, identity, device, body, us // 1000, not flags & PARSED),
        )
        for id_, uid, name, us, tx_id, person, identity, device, body, flags in found
    ]


SORTING: LiteralString = "SELECT set_config('enable_sort', %s, false), set_config('enable_incremental_sort', %s, false)"


@contextmanager
def reader() -> Iterator[Any]:
    """run(query, values) → rows, on this thread's connection, planned to walk an index in order.

    Values of the type text are bytes of UTF-8, those of varchar are str.

    Statistics know nothing of rows that came since the last ANALYZE. The planner then expects a handful, sorts the
    whole rest of the window for every page, and reading a burst takes quadratic time. So sorting large inputs is
    ruled out for these statements; what rules it out travels with the query in one round trip.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        raw = connection.connection
        assert raw is not None
        cursor: psycopg.Cursor[tuple[Any, ...]] = psycopg.Cursor(raw)
        cursor.adapters.register_loader("text", ByteaBinaryLoader)  # text goes from here to the wire as it is

        def run(query: LiteralString, values: dict[str, Any]) -> list[tuple[Any, ...]]:
            try:
                with raw.pipeline():
                    raw.execute(SORTING, ["off", "off"])
                    cursor.execute(query, values, binary=True)
                    raw.execute(SORTING, ["on", "on"])
            except psycopg.Error:
                connection.close()  # it may still have the setting
                raise
            return cursor.fetchall()

        yield run


RECENT = 20_000  # rows: how far back `latest` looks for one person


def latest(project_id: int, limit: int, *, person_id: int | None = None) -> list[EventRow]:
    """The last events received, newest first; of one person: those among the project's last RECENT events."""
    columns = EVENTS.columns.format(body=EVENTS.body)
    query: LiteralString = f"""
        SELECT {columns} FROM (
            SELECT * FROM events_event WHERE project_id = %(project)s ORDER BY tx_id DESC, id DESC LIMIT %(recent)s
        ) AS e
         WHERE %(person)s::bigint IS NULL OR e.person_id = %(person)s
         ORDER BY e.tx_id DESC, e.id DESC LIMIT %(limit)s
    """
    recent = limit if person_id is None else RECENT
    values = {"project": project_id, "recent": recent, "person": person_id, "limit": limit}
    with reader() as run:
        return _rows(run, run(query, values), {})
