"""How many rows of a log, or people, match: estimates for people who wait, exact counts for the check of the ledger."""

# ruff: noqa: S608 queries are put together from constants of this module and the reader; values travel as parameters

from datetime import datetime
from typing import Any, LiteralString

from django.db import connection

from events.logs import EVENTS
from events.store import NOTHING_ID, PERSON, POSITION, TIME, Filter, reader

EXACT_ROWS = 100_000  # an estimate counts that far


def estimate(
    *,
    filter: Filter,
    start: datetime | None = None,
    end: datetime | None = None,
    from_tx: int | None = None,
    until_tx: int | None = None,
    exact_rows: int = EXACT_ROWS,
) -> int:
    """How many rows match: by time with start and end, by position with from_tx and until_tx; people without bounds.

    Exact when the window holds at most exact_rows rows of the project, else reckoned from those first rows.
    """
    if filter.name_ids == ():
        return 0
    kind = TIME if start is not None else PERSON if filter.log.namespace is not None else POSITION
    axis = kind.of(filter.log)
    conditions, values = filter.conditions()
    values |= {"after": start or from_tx or 0, "after_id": NOTHING_ID, "end": end, "until_tx": until_tx}
    values["limit"] = exact_rows + 1
    with reader() as run:
        count_query: LiteralString = f"SELECT count(*), count(*) FILTER (WHERE true{conditions}), min(id), max(id)"
        scanned, matching, first_id, last_id = run(f"{count_query} FROM (SELECT * {axis.scanned}) AS e", values)[0]
        if scanned <= exact_rows:
            return int(matching)
        if kind is TIME and filter.log is EVENTS:  # their ids do not follow the time at which they happened
            whole = _rolled_up_rows(run, values)
        else:
            # Row ids of any project until the window's end: ids are given out nearly in the axis' order.
            until = run(f"SELECT id {axis.window} ORDER BY {axis.key} DESC, id DESC LIMIT 1", values)[0][0]
            whole = (until - first_id + 1) * scanned // (last_id - first_id + 1)
    return int(max(scanned, whole) * matching // scanned)


def count_by_position(*, filter: Filter, after: tuple[int, int], cursor: tuple[int, int]) -> int:
    """How many rows match with after < (tx_id, id) <= cursor."""
    between: LiteralString = "(tx_id, id) > (%(after)s, %(after_id)s) AND (tx_id, id) <= (%(to)s, %(to_id)s)"
    return _count(filter, between, {"after": after[0], "after_id": after[1], "to": cursor[0], "to_id": cursor[1]})


def count_by_time(*, filter: Filter, start: datetime, until_tx: int, cursor: tuple[datetime, int]) -> int:
    """How many events match with start <= occurred_at, (occurred_at, id) <= cursor and tx_id < until_tx."""
    between: LiteralString = (
        "occurred_at >= %(start)s AND (occurred_at, id) <= (%(to)s, %(to_id)s) AND tx_id < %(until_tx)s"
    )
    return _count(filter, between, {"start": start, "until_tx": until_tx, "to": cursor[0], "to_id": cursor[1]})


def count_people(*, filter: Filter, until_tx: int, cursor: tuple[int, int]) -> int:
    """How many people match that were made below until_tx, up to the cursor."""
    between: LiteralString = "id <= %(to_id)s AND tx_id < %(until_tx)s"
    return _count(filter, between, {"until_tx": until_tx, "to_id": cursor[1]})


def _count(where: Filter, between: LiteralString, bounds: dict[str, Any]) -> int:
    if where.name_ids == ():
        return 0
    conditions, values = where.conditions()
    query: LiteralString = (
        f"SELECT count(*) FROM {where.log.table} e WHERE project_id = %(project)s AND {between}{conditions}"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, {**values, **bounds})
        return int(cursor.fetchone()[0])


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
