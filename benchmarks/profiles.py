"""User profiles by one worker process against the bare loop over people, in alternating pairs.

`python -m benchmarks.profiles [--people N] [--pairs N]`. Everybody once, and the profile log with an update of each
person; all senders send to the same bare sink. Client, database and sink share the machine.
"""

import argparse
from typing import Any

from benchmarks import stack
from benchmarks.delivery import show

SENDERS = ("portal_people", "portal_updates", "people_loop")
PEOPLE = """
INSERT INTO events_person
    (project_id, clevertap_id, identity, name, email, phone, created_at, changed_at, properties)
SELECT 1, '__device' || lpad(n::text, 7, '0'), 'user-' || lpad(n::text, 7, '0'), 'Asha Rao',
       'user' || n || '@example.com', '+9198' || lpad(n::text, 8, '0'), now(), now(),
       jsonb_build_object('City', 'Pune', 'Language', 'mr', 'Plus Member', n %% 3 = 0, 'Visits', n %% 100,
                          'Favourites', jsonb_build_array('Books', 'Chai ☕'), 'Since', '2024-05-0' || 1 + n %% 9)
  FROM generate_series(1, %s) AS n
"""
UPDATES = """
INSERT INTO events_profilechange
    (project_id, person_id, uid, tx_id, received_at, identity, clevertap_id, lane, changed, removed)
SELECT 1, id, gen_random_uuid(), pg_current_xact_id()::text::bigint, now(), identity, clevertap_id, id %% 1024,
       properties, ARRAY['Plan']
  FROM events_person
"""


def fill(people: int) -> None:
    """Put `people` with nine properties each into one project, and one update of six properties for each of them."""
    import django

    django.setup()
    from django.db import connection

    from projects.models import Project

    Project.objects.create(pk=1, account_id="BENCH", name="Benchmark")
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, [people])
        cursor.execute(UPDATES, [])
        cursor.execute("VACUUM ANALYZE events_person, events_profilechange")
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=2)
    options = parser.parse_args()
    with stack.servers(), stack.sink() as url:
        fill(options.people)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in SENDERS}
        for _ in range(options.pairs):
            for name in SENDERS:
                runs[name].append(stack.measure("benchmarks.senders", name, url, str(options.people)))
    rates = {name: show(name, results) for name, results in runs.items()}
    slowest = min(rates["portal_people"], rates["portal_updates"])
    print(f"profiles a second      {slowest:6,.0f}   (at least 20,000)")
    print(f"portal / bare loop     {rates['portal_people'] / rates['people_loop']:6.2f}   (at least 0.35)")


if __name__ == "__main__":
    main()
