"""Retention on a whole portal: old events are deleted while uploads come in at a steady pace.

`python -m benchmarks.purge [--events N]`. Uploads are timed before and during the purge, by the same four connections;
uploader, portal and database share the machine.
"""

import argparse
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal

import requests

from benchmarks import stack
from benchmarks.delivery import FILL, fill_project
from tests.endtoend.user import User

CONNECTIONS = 4
PER_SECOND = 20  # requests
RECORDS = 10
BEFORE_SECONDS = 20
LONGEST = 1.0  # wanted
PROJECT = 1_000_000  # its key, which no other project gets


def fill(events: int) -> None:
    """A project with old events, a million at a time, and a policy that does not keep them."""
    from django.db import connection

    from events.models import EventName, RollupPosition
    from events.positions import horizon
    from exports_portal.common import bells
    from projects.models import Project

    fill_project(PROJECT, 0)
    received = "::bigint, now(),"
    assert received in FILL
    old = FILL.replace(received, "::bigint, now() - interval '100 days',")
    names = list(EventName.objects.filter(project=PROJECT).values_list("pk", flat=True))
    with connection.cursor() as cursor:
        for first in range(0, events, 1_000_000):
            part = min(1_000_000, events - first)
            cursor.execute(old, {"project": PROJECT, "bad": False, "events": part, "hours": 20, "names": names})
        for kind in RollupPosition.Kind:
            RollupPosition.objects.update_or_create(project_id=PROJECT, kind=kind, defaults={"tx_id": horizon()})
        cursor.execute("VACUUM ANALYZE events_event")
    Project.objects.filter(pk=PROJECT).update(keep_events_days=62)
    bells.ring_purge()  # instead of waiting for beat
    connection.close()


def purged() -> int:
    """How many events are deleted, by the mark of the log: counting the rest would be a load of its own."""
    from events.models import PurgedLog

    return sum(PurgedLog.objects.filter(project=PROJECT).values_list("records", flat=True))


def upload(user: User, stop: Signal) -> list[float]:
    """Seconds that each upload took, until the signal."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        found = [pool.submit(_upload, user, number, stop) for number in range(CONNECTIONS)]
        return [seconds for one in found for seconds in one.result()]


def _upload(user: User, number: int, stop: Signal) -> list[float]:
    chance, took = random.Random(number), []  # noqa: S311 the same each time
    headers = {"X-CleverTap-Account-Id": user.project["account_id"], "X-CleverTap-Passcode": user.project["passcode"]}
    with requests.Session() as session:
        session.trust_env = False
        while not stop.wait(CONNECTIONS / PER_SECOND):
            people = [f"user-{chance.randrange(5_000):05}" for _ in range(RECORDS)]
            records = [{"type": "event", "identity": key, "evtName": "Searched", "evtData": {}} for key in people]
            began = time.monotonic()
            answer = session.post(f"{user.portal.url}/1/upload", json={"d": records}, headers=headers, timeout=60)
            took.append(time.monotonic() - began)
            assert answer.json()["processed"] == RECORDS, answer.text
    return took


def timed(user: User, until: float | None = None, events: int = 0) -> tuple[list[float], float]:
    """Upload for some seconds, or until so many events are purged; seconds of each upload, and of it all."""
    stop, began = Signal(), time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        uploads = pool.submit(upload, user, stop)
        time.sleep(0.5)  # a few uploads, however quick it is
        while (time.monotonic() - began < until) if until is not None else (purged() < events):
            time.sleep(0.5)
        stop.set()
        return uploads.result(), time.monotonic() - began


def show(name: str, took: list[float]) -> float:
    p99 = statistics.quantiles(took, n=100)[98]
    print(f"{name:14} {len(took):7,} uploads   median {statistics.median(took):6.3f} s   p99 {p99:6.3f} s")
    return max(took)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=300_000)
    events = parser.parse_args().events
    with stack.portal() as portal:
        import django

        django.setup()
        fill_started = time.monotonic()
        user = User(portal)
        timed(user, until=2)  # people and names are made once
        show("before", timed(user, until=BEFORE_SECONDS)[0])
        fill(events)
        print(f"{events:,} events filled in {time.monotonic() - fill_started:.0f} s", flush=True)
        took, seconds = timed(user, events=events)
        longest = show("during purge", took)
    print(f"purged            {events / seconds:10,.0f} events/s")
    print(f"longest upload    {longest:10.3f} s   (at most {LONGEST})")


if __name__ == "__main__":
    main()
