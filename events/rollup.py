"""Counts of the catalogue, rolled up from the log through a cursor of their own.

Capturing only inserts; its rows are counted here, later, in steps of at most about STEP_ROWS rows so that no writing
transaction lives long. A step's counts and its cursor are one transaction: a kill in between loses and doubles nothing.
"""

from time import monotonic
from typing import Any

from django.db import connection, transaction

from events import positions
from events.models import RollupPosition

STEP_ROWS = 10_000

BEHIND = """
SELECT p.id FROM projects_project p LEFT JOIN events_rollupposition r ON r.project_id = p.id
 WHERE EXISTS (SELECT 1 FROM events_event e
                WHERE e.project_id = p.id AND e.tx_id >= coalesce(r.tx_id, 0) AND e.tx_id < %s)
 ORDER BY p.id
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
), placed AS (
    SELECT s.*, k.id IS NOT NULL AS known,
           row_number() OVER (PARTITION BY s.name_id, k.id IS NOT NULL ORDER BY s.count DESC, s.key, s.type)
           + (SELECT count(*) FROM events_propertyseen o WHERE o.name_id = s.name_id) AS place
      FROM seen s LEFT JOIN events_propertyseen k ON k.name_id = s.name_id AND k.key = s.key AND k.type = s.type
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


def roll_up_all(*, step_rows: int = STEP_ROWS, seconds: float = float("inf")) -> int:
    """Count what is new in every project, up to the horizon; returns the steps done. Begins no step after `seconds`.

    Harmless beside another one: each project has one at a time.
    """
    until_tx, deadline, steps = positions.horizon(), monotonic() + seconds, 0
    for project_id in _behind(until_tx):
        while monotonic() < deadline and _step(project_id, until_tx, step_rows):
            steps += 1
    return steps


def _behind(until_tx: int) -> list[int]:
    """Projects with events that are not counted: one look into the index for each, no write where nothing is new."""
    with connection.cursor() as cursor:
        cursor.execute(BEHIND, [until_tx])
        return [project_id for (project_id,) in cursor.fetchall()]


@transaction.atomic
def _step(project_id: int, until_tx: int, rows: int) -> bool:
    """Count one step; False when nothing is left, or when somebody else is at it."""
    RollupPosition.objects.get_or_create(project_id=project_id)
    position = RollupPosition.objects.select_for_update(skip_locked=True).filter(project_id=project_id).first()
    if position is None or position.tx_id >= until_tx:
        return False
    values: dict[str, Any] = {"project": project_id, "from_tx": position.tx_id, "until_tx": until_tx, "rows": rows}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")  # walk the index, whatever the statistics say (see events.store)
        cursor.execute(END_OF_STEP, values)
        found = cursor.fetchone()
        # Never standing still: a transaction that alone is larger than a step is counted whole.
        end = until_tx if found is None else max(found[0], position.tx_id + 1)
        values |= {"until_tx": end, "properties": PROPERTIES}
        cursor.execute(COUNT, values)
        cursor.execute("SET LOCAL enable_sort = on")
        cursor.execute(SEE_PROPERTIES, values)
    position.tx_id = end
    position.save(update_fields=["tx_id"])
    return True
