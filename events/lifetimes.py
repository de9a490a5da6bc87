"""How often people had each event, and when first and last: over their whole life, whatever is kept of the log.

Rolled up (`events.rollup`), so a little behind the log. Each event counts for the person that it has. Who was merged
into somebody, as an anonymous device is that logs in, counts for both; a demerge parts them again.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import LiteralString

from events.store import reader

# LATERAL and OFFSET: person by person along the key. For thousands the planner would rather read the whole table.
COUNTS: LiteralString = """
SELECT c.person, l.name_id, l.count, floor(date_part('epoch', l.first_seen_at))::bigint,
       floor(date_part('epoch', l.last_seen_at))::bigint
  FROM (SELECT unnest(%(people)s::bigint[]) AS person, unnest(%(people)s::bigint[]) AS counted
         UNION ALL
        SELECT merged_into_id, id FROM events_person WHERE merged_into_id = ANY(%(people)s)) AS c
 CROSS JOIN LATERAL (SELECT * FROM events_lifetimecount WHERE person_id = c.counted OFFSET 0) AS l
"""
NAMES: LiteralString = "SELECT id, name FROM events_eventname WHERE id = ANY(%(ids)s)"

Summary = dict[str, dict[str, int]]


def lifetimes(person_ids: Collection[int]) -> dict[int, Summary]:
    """By person: {name: {"count", "first_seen", "last_seen"}} in epoch seconds (CleverTap, 2.3 and 2.5).

    People without events are missing.
    """
    with reader() as run:
        rows = run(COUNTS, {"people": list(person_ids)})
        names = dict(run(NAMES, {"ids": list({row[1] for row in rows})}))
    found: dict[int, Summary] = defaultdict(dict)
    for person_id, name_id, count, first, last in rows:
        summary, name = found[person_id], names[name_id]
        if known := summary.get(name):  # of a device before its login
            count, first, last = (
                known["count"] + count,
                min(known["first_seen"], first),
                max(known["last_seen"], last),
            )
        summary[name] = {"count": count, "first_seen": first, "last_seen": last}
    return dict(found)
