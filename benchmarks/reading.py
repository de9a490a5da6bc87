"""/1/events.json over HTTP from one web process, against PostgreSQL alone writing the same rows as JSON.

`python -m benchmarks.reading [--events N] [--rounds N]`. Pages of 5,000 records on one kept-alive connection, device
fields, custom properties and lifetime events included. Client and database share the machine.
"""

import argparse
import os
import statistics
import time
from datetime import UTC, datetime, timedelta

import psycopg
import requests

from benchmarks import stack
from benchmarks.upload import NAMES, RECORDS, Receiver, bodies, profile_bodies, send, web

PAGE = 5_000
WANTED = 30_000
ROWS = """
SELECT row_to_json(e)::text, e.occurred_at, e.id FROM events_event e
 WHERE (occurred_at, id) > (%s, %s) ORDER BY occurred_at, id LIMIT %s
"""


def walk(portal: Receiver, *, gzip: bool) -> tuple[int, float]:
    """Read all events, name by name; returns how many there were, and the seconds of all pages."""
    url = portal.url.replace("upload", "events.json")
    today = datetime.now(UTC)
    days = {"from": f"{today - timedelta(days=3):%Y%m%d}", "to": f"{today + timedelta(days=1):%Y%m%d}"}
    records, seconds = 0, 0.0
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(portal.headers | {"Accept-Encoding": "gzip" if gzip else "identity"})
        for name in NAMES:
            asked = session.post(url, params={"batch_size": PAGE, "app": "true"}, json={"event_name": name, **days})
            cursor = asked.json()["cursor"]
            began = time.monotonic()
            while cursor:
                answer = session.get(url, params={"cursor": cursor}).content
                records += answer.count(b'"event_props":')
                cursor = answer.rpartition(b'"next_cursor":"')[2][:-2].decode() if b'"next_cursor":' in answer else ""
            seconds += time.monotonic() - began
    return records, seconds


def bare() -> tuple[int, float]:
    """The same rows as JSON, without people, filters or HTTP."""
    place, records, began = (datetime(2000, 1, 1, tzinfo=UTC), 0), 0, time.monotonic()
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        while rows := connection.execute(ROWS, [*place, PAGE]).fetchall():
            records += len(rows)
            place = rows[-1][1:]
    return records, time.monotonic() - began


def roll_up() -> None:
    """As the workers would have done by now."""
    import django

    django.setup()
    from django.db import connection

    from events.rollup import roll_up_all

    roll_up_all()
    connection.close()


def show(name: str, runs: list[tuple[int, float]]) -> float:
    rate = statistics.median(records / seconds for records, seconds in runs)
    print(f"{name:24} {rate:10,.0f} records/s   {runs[0][0]:,} records")
    return rate


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args(arguments)
    with stack.servers(), web() as portal:
        send(portal, profile_bodies(5 * RECORDS))
        send(portal, bodies(options.events))
        roll_up()
        plain = [walk(portal, gzip=False) for _ in range(options.rounds)]
        packed = [walk(portal, gzip=True) for _ in range(options.rounds)]
        alone = [bare() for _ in range(options.rounds)]
    rate = show("events.json", plain)
    show("events.json, gzip", packed)
    print(f"events.json / PostgreSQL alone {rate / show('PostgreSQL alone', alone):6.3f}")
    print(f"wanted: at least {WANTED:,} records/s")


if __name__ == "__main__":
    main()
