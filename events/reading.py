"""Reading the event log for CleverTap's read calls: pages of one name within days, and counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple

import psycopg
from django.db import OperationalError, connection, transaction

from events.api_queries import Query
from events.property_filters import conditions

SCANNED_ROWS = 50_000  # by one statement
COUNT_SECONDS = 25
START_ID = 0  # row ids begin at 1: a place (time, 0) stands before every row of that time

# Within (occurred_at, id) along its index, from a place on: the next rows, and where they end.
SCANNED = """
  FROM events_event
 WHERE project_id = %(project)s AND (occurred_at, id) > (%(after)s, %(after_id)s) AND occurred_at < %(end)s
 ORDER BY occurred_at, id
"""
PAGE = """
SELECT e.id, e.occurred_at, e.person_id, e.clevertap_id, e.identity, e.properties::text,
       to_char(e.occurred_at AT TIME ZONE %(zone)s, 'YYYYMMDDHH24MISS')
  FROM (SELECT * {scanned} LIMIT %(scanned)s) AS e
 WHERE e.name_id = %(name)s AND e.tx_id < %(until_tx)s {filters}
 LIMIT %(limit)s
"""
LAST_SCANNED = f"SELECT occurred_at, id {SCANNED} OFFSET %(scanned)s - 1 LIMIT 1"
COUNT = """
SELECT count({what}) FROM events_event e {people}
 WHERE e.project_id = %(project)s AND e.occurred_at >= %(start)s AND e.occurred_at < %(end)s AND e.name_id = %(name)s
       {filters}
"""

PEOPLE_WITH = """
SELECT DISTINCT coalesce(p.merged_into_id, p.id) FROM events_event e JOIN events_person p ON p.id = e.person_id
 WHERE e.project_id = %(project)s AND e.occurred_at >= %(start)s AND e.occurred_at < %(end)s AND e.name_id = %(name)s
   AND coalesce(p.merged_into_id, p.id) > %(after)s AND coalesce(p.merged_into_id, p.id) <= %(until)s
       {filters}
 ORDER BY 1 LIMIT %(limit)s
"""
PEOPLE = "LEFT JOIN events_person p ON p.id = e.person_id"

Place = tuple[datetime, int]  # the last row before it: occurred_at and id


class Found(NamedTuple):
    """An event. properties: JSON text. local_time: 14 digits in the zone that was asked for."""

    id: int
    occurred_at: datetime
    person_id: int
    clevertap_id: str
    identity: str | None
    properties: str
    local_time: str


class TooLong(Exception):
    """The answer would take longer than a call may."""


def read_page(
    project_id: int, query: Query, *, zone: str, until_tx: int, after: Place, limit: int, seconds: float
) -> tuple[list[Found], Place | None]:
    """The next events, at most `limit`, and the place to go on from; None when there are no more.

    Where few rows match, fewer come once `seconds` have passed, but some, or the end, within ten times that.
    """
    deadline, found, place = monotonic() + seconds, list[Found](), after
    filters, values = conditions(query.filters)
    page = PAGE.format(scanned=SCANNED, filters=filters)
    values |= {"project": project_id, "name": query.name_id, "end": query.end, "zone": zone, "until_tx": until_tx}
    while True:
        wanted = limit - len(found) + 1  # the last tells that there are more
        values |= {"after": place[0], "after_id": place[1], "limit": wanted, "scanned": SCANNED_ROWS}
        with _reader() as cursor:
            cursor.execute(page, values)
            found += map(Found._make, cursor.fetchall())
            if len(found) > limit:
                last = found[limit - 1]
                return found[:limit], (last.occurred_at, last.id)
            cursor.execute(LAST_SCANNED, values)
            following = cursor.fetchone()
        if following is None:
            return found, None
        place = following
        late = monotonic() - deadline
        if late > 9 * seconds or (late > 0 and found):
            return found, place


def count(project_id: int, query: Query, *, people: bool = False) -> int:
    """How many events match, or how many people have one that does. Raises TooLong."""
    filters, values = conditions(query.filters)
    values |= {"project": project_id, "name": query.name_id, "start": query.start, "end": query.end}
    what, joined = ("DISTINCT coalesce(p.merged_into_id, e.person_id)", PEOPLE) if people else ("*", "")
    return int(_in_time(COUNT.format(what=what, people=joined, filters=filters), values)[0][0])


def people_with(project_id: int, query: Query, *, after: int, until: int, limit: int) -> list[int]:
    """Ids of people with after < id <= until who have an event that matches, in order. Raises TooLong.

    Each page looks through all days of the question: events have no index by person, as it would cost every upload.
    """
    filters, values = conditions(query.filters)
    values |= {"project": project_id, "name": query.name_id, "start": query.start, "end": query.end}
    values |= {"after": after, "until": until, "limit": limit}
    return [person_id for (person_id,) in _in_time(PEOPLE_WITH.format(filters=filters), values)]


def _in_time(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    try:
        with _reader() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{COUNT_SECONDS}s'")
            cursor.execute(statement, values)
            return cursor.fetchall()
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise TooLong from None
        raise


@contextmanager
def _reader() -> Iterator[Any]:
    """A cursor whose statements walk an index, whatever the statistics say (see events.store)."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
        yield cursor
