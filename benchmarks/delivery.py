"""Delivery by one worker process against the bare loop and the official SDK, in alternating pairs.

`python -m benchmarks.delivery [--events N] [--pairs N]`. All senders send to the same bare sink that only counts;
reading, checks and checkpoints are part of the portal's time. Client, database and sink share the machine.
"""

import argparse
import statistics
from typing import Any

from benchmarks import stack

SDK_EVENTS = 40_000
FILL = """
INSERT INTO events_event
    (project_id, name_id, person_id, uid, tx_id, received_at, occurred_at, identity, clevertap_id, lane,
     properties, flags)
SELECT 1, 1 + n %% 5, 1 + n %% 5000, gen_random_uuid(), pg_current_xact_id()::text::bigint, now(),
       now() - interval '20 hours' * random(), 'user-' || lpad((n %% 5000)::text, 5, '0'),
       '__device' || lpad((n %% 5000)::text, 5, '0'), n %% 1024,
       jsonb_build_object('Category', 'Books', 'Price', 499 + n %% 100, 'Product', 'Item ' || n %% 1000), 0
  FROM generate_series(1, %s) AS n
"""


def fill(events: int) -> None:
    """Put `events` plain events of one project into the log, spread over the last 20 hours."""
    import django

    django.setup()
    from datetime import UTC, datetime

    from django.db import connection

    from events.models import EventName
    from projects.models import Project

    project = Project.objects.create(pk=1, account_id="BENCH", name="Benchmark")
    names = ("Product Viewed", "Searched", "Added To Cart", "Charged", "App Launched")
    EventName.objects.bulk_create(
        EventName(pk=key, project=project, name=name, kind="custom", first_seen_at=datetime.now(UTC))
        for key, name in enumerate(names, 1)
    )
    with connection.cursor() as cursor:
        cursor.execute(FILL, [events])
        cursor.execute("VACUUM ANALYZE events_event")
    connection.close()


def rate(result: dict[str, Any]) -> float:
    return float(result["events"] / result["wall"])


def show(name: str, results: list[dict[str, Any]]) -> float:
    """Print the median of a sender's runs and return its events per second."""
    median = statistics.median(map(rate, results))
    cpu = statistics.median(result["cpu"] / result["events"] * 1e6 for result in results)
    memory = max(result["memory_mb"] for result in results)
    print(f"{name:14} {median:10,.0f} events/s   {cpu:6.1f} CPU s per million   peak {memory:4.0f} MB")
    return median


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    with stack.servers(), stack.sink() as url:
        fill(options.events)
        runs: dict[str, list[dict[str, Any]]] = {"portal": [], "bare_loop": [], "official_sdk": []}
        for _ in range(options.pairs):
            runs["portal"].append(stack.measure("benchmarks.senders", "portal", url, str(options.events)))
            runs["bare_loop"].append(stack.measure("benchmarks.senders", "bare_loop", url, str(options.events)))
            runs["official_sdk"].append(stack.measure("benchmarks.senders", "official_sdk", url, str(SDK_EVENTS)))
    rates = {name: show(name, results) for name, results in runs.items()}
    print(f"portal / official SDK  {rates['portal'] / rates['official_sdk']:6.2f}   (at least 12)")
    print(f"portal / bare loop     {rates['portal'] / rates['bare_loop']:6.2f}   (at least 0.45)")


if __name__ == "__main__":
    main()
