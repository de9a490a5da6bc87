"""Counts of the catalogue and of people, rolled up from the log through a cursor of each kind's own.

Capturing only inserts; its rows are counted here, later, in steps of at most about STEP_ROWS rows so that no writing
transaction lives long. A step's counts and its cursor are one transaction: a kill in between loses and doubles nothing.
"""

from time import monotonic
from typing import Any

from django.db import connection, transaction

from events import positions
from events.models import RollupPosition

STEP_ROWS = 10_000
Kind = RollupPosition.Kind

BEHIND = """
SELECT p.id, k.kind FROM projects_project p CROSS JOIN unnest(%s::text[]) AS k (kind)
  LEFT JOIN events_rollupposition r ON r.project_id = p.id AND r.kind = k.kind
 WHERE EXISTS (SELECT 1 FROM events_event e
                WHERE e.project_id = p.id AND e.tx_id >= coalesce(r.tx_id, 0) AND e.tx_id < %s)
 ORDER BY p.id, k.kind
"""
# A step ends between two transactions of the log, so that its cursor is a tx_id alone.
END_OF_STEP = """
SELECT tx_id FROM events_event
 WHERE project_id = %(project)s AND tx_id >= %(from_tx)s AND tx_id < %(until_tx)s
 ORDER BY tx_id, id OFFSET %(rows)s LIMIT 1
"""
PROPERTIES = 500  # of one name, types included
# Those that are known are counted in any case, new ones as far as there is room. A date is uploaded as $D_… and stored
# as ISO 8601 in UTC.
SEE_PROPERTIES = """
WITH seen AS MATERIALIZED (
    SELECT e.name_id, p.key,
           CASE WHEN p.value #>> '{}' LIKE '____-__-__T__:__:__Z' THEN 'date' ELSE jsonb_typeof(p.value) END AS type,
           count(*) AS count, max(e.occurred_at) AS last
      FROM events_event e CROSS JOIN jsonb_each(e.properties) AS p
     WHERE e.project_id = %(project)s AND e.tx_id >= %(from_tx)s AND e.tx_id < %(until_tx)s
     GROUP BY 1, 2, 3
), taken AS MATERIALIZED (
    SELECT name_id, count(*) AS count FROM events_propertyseen WHERE name_id IN (SELECT name_id FROM seen) GROUP BY 1
), placed AS (
    SELECT s.*, k.id IS NOT NULL AS known,
           row_number() OVER (PARTITION BY s.name_id, k.id IS NOT NULL ORDER BY s.count DESC, s.key, s.type)
           + coalesce(t.count, 0) AS place
      FROM seen s LEFT JOIN taken t ON t.name_id = s.name_id
      LEFT JOIN events_propertyseen k ON k.name_id = s.name_id AND k.key = s.key AND k.type = s.type
)
INSERT INTO events_propertyseen (name_id, key, type, count, last_seen_at)
SELECT name_id, key, type, count, last FROM placed WHERE known OR place <= %(properties)s
    ON CONFLICT (name_id, key, type) DO UPDATE
       SET count = events_propertyseen.count + excluded.count,
           last_seen_at = greatest(events_propertyseen.last_seen_at, excluded.last_seen_at)
"""
# One statement, so that days and names are counted from the same rows.
COUNT = """
WITH step AS MATERIALIZED (
    SELECT e.name_id, (e.occurred_at AT TIME ZONE p.timezone)::date AS day,
           count(*) AS count, max(e.occurred_at) AS last
      FROM events_event e JOIN projects_project p ON p.id = e.project_id
     WHERE e.project_id = %(project)s AND e.tx_id >= %(from_tx)s AND e.tx_id < %(until_tx)s
     GROUP BY 1, 2
), days AS (
    INSERT INTO events_dailycount (name_id, day, count) SELECT name_id, day, count FROM step
        ON CONFLICT (name_id, day) DO UPDATE SET count = events_dailycount.count + excluded.count
)
UPDATE events_eventname n SET count = n.count + s.count, last_seen_at = greatest(n.last_seen_at, s.last)
  FROM (SELECT name_id, sum(count) AS count, max(last) AS last FROM step GROUP BY name_id) AS s
 WHERE n.id = s.name_id
"""
# Only of people who are there: events of those who were deleted may still wait to be (events.erasure). In the order of
# the key, so that each of its pages is visited once.
COUNT_BY_PERSON = """
INSERT INTO events_lifetimecount AS l (person_id, name_id, count, first_seen_at, last_seen_at)
SELECT s.* FROM (
    SELECT person_id, name_id, count(*), min(occurred_at), max(occurred_at) FROM events_event
     WHERE project_id = %(project)s AND tx_id >= %(from_tx)s AND tx_id < %(until_tx)s
     GROUP BY 1, 2) AS s
 WHERE EXISTS (SELECT 1 FROM events_person p WHERE p.id = s.person_id)
 ORDER BY 1, 2
    ON CONFLICT (person_id, name_id) DO UPDATE
       SET count = l.count + excluded.count,
           first_seen_at = least(l.first_seen_at, excluded.first_seen_at),
           last_seen_at = greatest(l.last_seen_at, excluded.last_seen_at)
"""
STATEMENTS = {Kind.CATALOGUE: (COUNT, SEE_PROPERTIES), Kind.PEOPLE: (COUNT_BY_PERSON,)}


def roll_up_all(*, step_rows: int = STEP_ROWS, seconds: float = float("inf")) -> int:
    """Count what is new in every project, up to the horizon; returns the steps done. Begins no step after `seconds`.

    A step of each in turn. Harmless beside another one: each kind of a project has one at a time.
    """
    until_tx, deadline, steps = positions.horizon(), monotonic() + seconds, 0
    behind = _behind(until_tx)
    while behind:
        behind = [one for one in behind if monotonic() < deadline and _step(*one, until_tx, step_rows)]
        steps += len(behind)
    return steps


def _behind(until_tx: int) -> list[tuple[int, str]]:
    """Projects and kinds with events that are not counted: one look into the index for each, no write for the rest."""
    with connection.cursor() as cursor:
        cursor.execute(BEHIND, [Kind.values, until_tx])
        return cursor.fetchall()


def hold_people(project_id: int) -> None:
    """Until the end of the transaction no people of the project are counted."""
    _lock(project_id, Kind.PEOPLE, skip=False)


def counted_until(project_id: int) -> int:
    """Events from here on may be missing in some counts."""
    reached = dict(RollupPosition.objects.filter(project_id=project_id).values_list("kind", "tx_id"))
    return min(reached.get(kind, 0) for kind in Kind.values)


def _lock(project_id: int, kind: str, *, skip: bool) -> RollupPosition | None:
    RollupPosition.objects.get_or_create(project_id=project_id, kind=kind)
    rows = RollupPosition.objects.select_for_update(skip_locked=skip, no_key=True)
    return rows.filter(project_id=project_id, kind=kind).first()


@transaction.atomic
def _step(project_id: int, kind: str, until_tx: int, rows: int) -> bool:
    """Count one step; False when nothing is left, or when somebody else is at it."""
    position = _lock(project_id, kind, skip=True)
    if position is None or position.tx_id >= until_tx:
        return False
    values: dict[str, Any] = {"project": project_id, "from_tx": position.tx_id, "until_tx": until_tx, "rows": rows}
    with connection.cursor() as cursor:
        # A step that a crash undoes is simply made again: no commit waits for the disk.
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute("SET LOCAL enable_sort = off")  # walk the index, whatever the statistics say (see events.store)
        cursor.execute("SET LOCAL enable_seqscan = off")  # nor read all people for some thousands of them
        cursor.execute(END_OF_STEP, values)
        found = cursor.fetchone()
        cursor.execute("SET LOCAL enable_sort = on")
        # Never standing still: a transaction that alone is larger than a step is counted whole.
        end = until_tx if found is None else max(found[0], position.tx_id + 1)
        values |= {"until_tx": end, "properties": PROPERTIES}
        for statement in STATEMENTS[Kind(kind)]:
            cursor.execute(statement, values)
    position.tx_id = end
    position.save(update_fields=["tx_id"])
    return True
