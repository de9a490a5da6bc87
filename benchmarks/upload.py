"""Upload over HTTP through one web process, against a bare sink that only counts, in alternating pairs.

`python -m benchmarks.upload [--events N] [--profiles N] [--pairs N]`. Requests of 1,000 records on one kept-alive
connection, of events and of profile updates; their bodies are made beforehand. CPU seconds are those of the receiving
process alone; client and database share the machine.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import orjson
import psutil
import requests

from benchmarks import stack

RECORDS = 1_000
PEOPLE = 5_000
NAMES = ("Product Viewed", "Searched", "Added To Cart", "App Launched", "Notification Viewed")
WANTED, PROFILES_WANTED = 15_000, 3_000  # records a second


class Receiver(NamedTuple):
    url: str
    headers: dict[str, str]
    process: psutil.Process


class Timing(NamedTuple):
    wall: float
    cpu: float


def bodies(events: int) -> list[bytes]:
    """Requests like an app's backend sends them: known people, five names, five properties."""
    chance, now = random.Random(1), int(time.time())  # noqa: S311 the same bodies each time
    return [_body(chance, now) for _ in range(events // RECORDS)]


def _body(chance: random.Random, now: int) -> bytes:
    records = [
        {
            "type": "event",
            "identity": f"user-{chance.randrange(PEOPLE):05}",
            "ts": now - chance.randrange(86_400),
            "evtName": chance.choice(NAMES),
            "evtData": {
                "Category": "Books",
                "Price": 499 + chance.randrange(100),
                "Product": f"Item {chance.randrange(1000)}",
                "City": "पुणे",
                "In Stock": True,
            },
        }
        for _ in range(RECORDS)
    ]
    return orjson.dumps({"d": records})


def profile_bodies(profiles: int) -> list[bytes]:
    """Requests of updates of known people, with contacts, plain properties and operators."""
    chance = random.Random(2)  # noqa: S311 as above
    return [_profile_body(chance) for _ in range(profiles // RECORDS)]


def _profile_body(chance: random.Random) -> bytes:
    numbers = [chance.randrange(PEOPLE) for _ in range(RECORDS)]
    records = [
        {
            "type": "profile",
            "identity": f"user-{number:05}",
            "profileData": {
                "Name": "Asha Rao",
                "Email": f"user-{number:05}@example.com",
                "Phone": f"+9198{number:08}",
                "City": chance.choice(("पुणे", "Mumbai", "Delhi")),
                "Plan": chance.choice(("Gold", "Silver")),
                "Visits": {"$incr": 1},
                "Favourites": {"$add": [chance.choice(("Books", "Chai", "Cricket", "Cinema"))]},
            },
        }
        for number in numbers
    ]
    return orjson.dumps({"d": records})


@contextmanager
def web() -> Iterator[Receiver]:
    """One gunicorn worker process with the portal's own settings, and a project to upload to."""
    made = subprocess.run(
        [sys.executable, "manage.py", "create_project", "Benchmark", "--timezone", "UTC", "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    project = json.loads(made.stdout)
    headers = {"X-CleverTap-Account-Id": project["account_id"], "X-CleverTap-Passcode": project["passcode"]}
    with stack.web() as (url, worker):
        yield Receiver(f"{url}/1/upload", headers, worker)


@contextmanager
def sink() -> Iterator[Receiver]:
    """The bare sink of the delivery benchmark."""
    with stack.sink() as url:
        process = next(child for child in psutil.Process().children() if "benchmarks.sink" in " ".join(child.cmdline()))
        yield Receiver(url, {}, process)


def send(receiver: Receiver, requests_: list[bytes]) -> Timing:
    """Send all bodies one after another; every record must be taken."""
    cpu, wall = _cpu(receiver.process), time.monotonic()
    with requests.Session() as session:
        session.trust_env = False
        for body in requests_:
            answer = session.post(receiver.url, data=body, headers=receiver.headers, timeout=60)
            answer.raise_for_status()
            assert answer.json().get("processed", RECORDS) == RECORDS, answer.text[:500]
    return Timing(time.monotonic() - wall, _cpu(receiver.process) - cpu)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def show(name: str, timings: list[Timing], records: int) -> float:
    """Print the median of a receiver's runs and return its records per second."""
    rate = statistics.median(records / timing.wall for timing in timings)
    wall = statistics.median(timing.wall for timing in timings)
    cpu = statistics.median(timing.cpu for timing in timings)
    print(f"{name:16} {rate:10,.0f} a second   {wall:6.2f} wall s   {cpu:6.2f} CPU s for {records:,} records")
    return rate


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args(arguments)
    events, profiles = bodies(options.events), profile_bodies(options.profiles)
    sent = {"portal events": events, "bare sink": events, "portal profiles": profiles}
    runs: dict[str, list[Timing]] = {name: [] for name in sent}
    with stack.servers(), web() as portal, sink() as bare:
        send(portal, events[:10])  # the people and names are made once
        send(portal, profiles[:5])
        for _ in range(options.pairs):
            for name, requests_ in sent.items():
                runs[name].append(send(bare if name == "bare sink" else portal, requests_))
    rates = {name: show(name, timings, len(sent[name]) * RECORDS) for name, timings in runs.items()}
    print(f"portal events / bare sink  {rates['portal events'] / rates['bare sink']:6.3f}")
    print(f"wanted: at least {WANTED:,} events and {PROFILES_WANTED:,} profiles a second")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")
    main()
