"""Delivery by one worker process against the bare loop and the official SDK, by two, and with bad events among them.

`python -m benchmarks.delivery [--events N] [--pairs N]`, in alternating pairs. All senders send to the same bare sink
that only counts, and refuses what is bad; reading, checks and checkpoints are part of the portal's time. Client,
database and sink share the machine.
"""

import argparse
import statistics
from typing import Any

from benchmarks import stack

SDK_EVENTS = 40_000
SENDERS = ("portal", "bare_loop", "official_sdk", "portal_two_workers", "portal_with_bad_events")
FILL = """
INSERT INTO events_event
    (project_id, name_id, person_id, uid, tx_id, received_at, occurred_at, identity, clevertap_id, lane,
     properties, flags)
SELECT %(project)s, (%(names)s::bigint[])[CASE WHEN %(bad)s AND n %% 200 = 0 THEN 6 ELSE 1 + n %% 5 END], 1 + n %% 5000,
       gen_random_uuid(), pg_current_xact_id()::text::bigint, now(),
       now() - interval '1 hour' * %(hours)s * (1 - n::float8 / %(events)s) - interval '10 minutes' * random(),
       CASE WHEN %(bad)s AND n %% 200 = 100 THEN 'abc' ELSE 'user-' || lpad((n %% 5000)::text, 5, '0') END,
       '__device' || lpad((n %% 5000)::text, 5, '0'), n %% 1024,
       jsonb_build_object('Category', 'Books', 'Price', 499 + n %% 100, 'Product', 'Item ' || n %% 1000), 0
  FROM generate_series(1, %(events)s) AS n
"""


NAMES = ("Product Viewed", "Searched", "Added To Cart", "Charged", "App Launched", "Poison")


def fill(events: int) -> None:
    """Put `events` events of project 1 into the log, all plain, and of project 2, one of a hundred bad."""
    fill_project(1, events)
    fill_project(2, events, bad=True)


def fill_project(key: int, events: int, *, hours: float = 20, bad: bool = False) -> None:
    """A project and its events, spread over the last `hours`.

    bad: one of a hundred will be refused; half of these have too short an identity, half the name Poison.
    """
    import django

    django.setup()
    from datetime import UTC, datetime

    from django.db import connection

    from events.models import EventName
    from projects.models import Project

    project = Project.objects.create(pk=key, account_id=f"BENCH-{key}", name=f"Benchmark {key}")
    names = [EventName(project=project, name=name, kind="custom", first_seen_at=datetime.now(UTC)) for name in NAMES]
    ids = [name.pk for name in EventName.objects.bulk_create(names)]
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"project": key, "bad": bad, "events": events, "names": ids, "hours": hours})
        cursor.execute("VACUUM ANALYZE events_event")
    connection.close()


def rate(result: dict[str, Any]) -> float:
    return float(result["events"] / result["wall"])


def show(name: str, results: list[dict[str, Any]]) -> float:
    """Print the median of a sender's runs and return its events per second."""
    median = statistics.median(map(rate, results))
    cpu = statistics.median(result["cpu"] / result["events"] * 1e6 for result in results)
    memory = max(result["memory_mb"] for result in results)
    print(f"{name:22} {median:10,.0f} events/s   {cpu:6.1f} CPU s per million   peak {memory:4.0f} MB")
    return median


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=2)
    options = parser.parse_args()
    with stack.servers(), stack.sink() as url:
        fill(options.events)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in SENDERS}
        for _ in range(options.pairs):
            for name in SENDERS:
                events = SDK_EVENTS if name == "official_sdk" else options.events
                runs[name].append(stack.measure("benchmarks.senders", name, url, str(events)))
    rates = {name: show(name, results) for name, results in runs.items()}
    cpu = {name: statistics.median(result["cpu"] / result["events"] for result in runs[name]) for name in SENDERS}
    one = rates["portal"]
    print(f"portal / official SDK   {one / rates['official_sdk']:6.2f}   (at least 12)")
    print(f"portal / bare loop      {one / rates['bare_loop']:6.2f}   (at least 0.45)")
    print(f"two workers / one       {rates['portal_two_workers'] / one:6.2f}   (at least 1.25)")
    print(f"CPU of two / of one     {cpu['portal_two_workers'] / cpu['portal']:6.2f}   (at most 1.15)")
    print(f"1% bad events / none    {rates['portal_with_bad_events'] / one:6.2f}   (at least 0.8)")


if __name__ == "__main__":
    main()
