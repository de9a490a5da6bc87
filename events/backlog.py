"""How much of a log lies behind a place in it: what an export that goes on for ever has still to read.

One statement for any number of places, along the index by position. It looks at the first LOOK_ROWS rows behind each,
so it costs the same after a second and after a day of outage.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import orjson
from django.db import connection

LOOK_ROWS = 1_000

BEHIND = """
SELECT p.key, b.scanned, b.matching, b.oldest, b.last, b.first_id, b.last_id, newest.id
  FROM jsonb_to_recordset(%(places)s::jsonb) AS p
       (key bigint, project bigint, tx_id bigint, id bigint, received_from timestamptz, names text[])
  LEFT JOIN LATERAL (
    SELECT array_agg(n.id) AS ids FROM events_eventname n WHERE n.project_id = p.project AND n.name = ANY(p.names)
  ) AS wanted ON true
  CROSS JOIN LATERAL (
    SELECT count(*) AS scanned, count(*) FILTER (WHERE e.wanted) AS matching,
           min(e.received_at) FILTER (WHERE e.wanted) AS oldest, max(e.received_at) AS last,
           min(e.id) AS first_id, max(e.id) AS last_id
      FROM (SELECT id, received_at, received_at >= p.received_from AND {matches} AS wanted FROM {log}
             WHERE project_id = p.project AND (tx_id, id) > (p.tx_id, p.id)
               AND (p.names IS NULL OR wanted.ids IS NOT NULL)
             ORDER BY tx_id, id LIMIT %(look)s) AS e
  ) AS b
  LEFT JOIN LATERAL (
    SELECT id FROM {log} WHERE project_id = p.project ORDER BY tx_id DESC, id DESC LIMIT 1
  ) AS newest ON true
"""
OF_EVENTS = BEHIND.format(log="events_event", matches="(p.names IS NULL OR name_id = ANY(wanted.ids))")
OF_PROFILES = BEHIND.format(log="events_profilechange", matches="true")


class Place(NamedTuple):
    """Where somebody stands in a project's log: what lies behind (tx_id, id) is not settled.

    Of it, records received from `received_from` on belong to them; of events those of `names` (None: all).
    """

    project_id: int
    after: tuple[int, int]
    received_from: datetime
    names: Sequence[str] | None = None


class Backlog(NamedTuple):
    """oldest: when the first record that waits was received, None when nothing waits. waiting: about how many.

    When none of the rows looked at belongs to them and more follow, `oldest` is the last of those rows: whatever waits
    is no older.
    """

    oldest: datetime | None
    waiting: int


def behind(places: dict[int, Place], *, profiles: bool = False) -> dict[int, Backlog]:
    """The backlog at each place, by the caller's keys. profiles: in the log of profile changes."""
    if not places:
        return {}
    with connection.cursor() as cursor:
        query = OF_PROFILES if profiles else OF_EVENTS
        cursor.execute(query, {"places": _as_json(places), "look": LOOK_ROWS})
        return {key: _backlog(*found) for key, *found in cursor.fetchall()}


def _as_json(places: dict[int, Place]) -> str:
    rows: Collection[dict[str, object]] = [
        {
            "key": key,
            "project": place.project_id,
            "tx_id": place.after[0],
            "id": place.after[1],
            "received_from": place.received_from,
            "names": place.names,
        }
        for key, place in places.items()
    ]
    return orjson.dumps(rows).decode()


def _backlog(
    scanned: int,
    matching: int,
    oldest: datetime | None,
    last: datetime | None,
    first_id: int | None,
    last_id: int | None,
    newest_id: int | None,
) -> Backlog:
    if scanned < LOOK_ROWS:
        return Backlog(oldest, matching)
    assert first_id is not None
    assert last_id is not None
    assert newest_id is not None
    # Ids are given out nearly in the order of positions, so their span tells how many rows follow.
    whole = (newest_id - first_id + 1) * scanned // (last_id - first_id + 1)
    return Backlog(oldest or last, max(scanned, whole) * matching // scanned)
