"""Upload over HTTP through one and two web processes, against a bare sink that only counts, in alternating rounds.

`python -m benchmarks.upload [--events N] [--profiles N] [--pairs N] [--exported N]`. Requests of 1,000 records on
kept-alive connections, of events and of profile updates; their bodies are made beforehand. Then small requests, one
after another, while an export runs. CPU seconds are those of the receiving processes alone; client, database, worker
and sink share the machine.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import orjson
import psutil
import requests

from benchmarks import stack
from benchmarks.delivery import fill_project, rate

RECORDS, SMALL = 1_000, 100  # in a request
PEOPLE = 5_000
CONNECTIONS = 4  # to two processes, and to one for the comparison
EXPORTED = 1_000  # the key of the project with the export
NAMES = ("Product Viewed", "Searched", "Added To Cart", "App Launched", "Notification Viewed")
WANTED, PROFILES_WANTED = 15_000, 3_000  # records a second
TWO_WANTED, SMALL_WANTED = 1.3, 60.0  # times one process; ms at p95


class Receiver(NamedTuple):
    url: str
    headers: dict[str, str]
    processes: list[psutil.Process]


class Timing(NamedTuple):
    wall: float
    cpu: float


def bodies(events: int, records: int = RECORDS) -> list[bytes]:
    """Requests like an app's backend sends them: known people, five names, five properties."""
    chance, now = random.Random(1), int(time.time())  # noqa: S311 the same bodies each time
    return [_body(chance, now, records) for _ in range(events // records)]


def _body(chance: random.Random, now: int, count: int) -> bytes:
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
        for _ in range(count)
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
def web(processes: int = 1) -> Iterator[Receiver]:
    """A gunicorn with the portal's own settings, and a project to upload to."""
    made = subprocess.run(
        [sys.executable, "manage.py", "create_project", "Benchmark", "--timezone", "UTC", "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    project = json.loads(made.stdout)
    headers = {"X-CleverTap-Account-Id": project["account_id"], "X-CleverTap-Passcode": project["passcode"]}
    with stack.web(processes) as (url, workers):
        yield Receiver(f"{url}/1/upload", headers, workers)


@contextmanager
def sink() -> Iterator[Receiver]:
    """The bare sink of the delivery benchmark."""
    with stack.sink() as url:
        process = next(child for child in psutil.Process().children() if "benchmarks.sink" in " ".join(child.cmdline()))
        yield Receiver(url, {}, [process])


def send(receiver: Receiver, requests_: list[bytes], connections: int = 1) -> Timing:
    """Send all bodies, one after another on each connection; every record must be taken."""
    cpu, wall = _cpu(receiver), time.monotonic()
    with ThreadPoolExecutor(connections) as pool:
        for sent in [pool.submit(_send, receiver, requests_[place::connections]) for place in range(connections)]:
            sent.result()
    return Timing(time.monotonic() - wall, _cpu(receiver) - cpu)


def _send(receiver: Receiver, requests_: Iterable[bytes], records: int = RECORDS) -> list[float]:
    """The milliseconds that each request took."""
    took = []
    with requests.Session() as session:
        session.trust_env = False
        for body in requests_:
            began = time.monotonic()
            answer = session.post(receiver.url, data=body, headers=receiver.headers, timeout=60)
            took.append((time.monotonic() - began) * 1000)
            answer.raise_for_status()
            assert answer.json().get("processed", records) == records, answer.text[:500]
    return took


def _cpu(receiver: Receiver) -> float:
    times = [process.cpu_times() for process in receiver.processes]
    return float(sum(time_.user + time_.system for time_ in times))


def beside_an_export(portal: Receiver, url: str, events: int) -> list[float]:
    """The milliseconds that each small request took while one worker delivered another project's events."""
    fill_project(EXPORTED, events)
    small = bodies(SMALL * 100, SMALL)
    with ThreadPoolExecutor(1) as pool:
        export = pool.submit(
            stack.measure, "benchmarks.senders", "portal", url, str(events), BENCHMARK_PROJECT=str(EXPORTED)
        )
        took = _send(portal, itertools.takewhile(lambda _: not export.done(), itertools.cycle(small)), SMALL)
    result = export.result()
    print(f"{'export meanwhile':24} {rate(result):10,.0f} a second")
    until_it_began = sum(took) - result["wall"] * 1000  # before it, the sender starts
    return [ms for ms, at in zip(took, itertools.accumulate(took), strict=True) if at > until_it_began]


def show(name: str, timings: list[Timing], records: int) -> float:
    """Print the median of a receiver's runs and return its records per second."""
    median = statistics.median(records / timing.wall for timing in timings)
    wall = statistics.median(timing.wall for timing in timings)
    cpu = statistics.median(timing.cpu for timing in timings)
    print(f"{name:24} {median:10,.0f} a second   {wall:6.2f} wall s   {cpu:6.2f} CPU s for {records:,} records")
    return median


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--exported", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    events, profiles = bodies(options.events), profile_bodies(options.profiles)
    with stack.servers(), web() as portal, web(2) as two, sink() as bare:
        sent = {
            "events": (portal, events, 1),
            "profiles": (portal, profiles, 1),
            "bare sink": (bare, events, 1),
            f"events, {CONNECTIONS} connections": (portal, events, CONNECTIONS),
            "two processes": (two, events, CONNECTIONS),
        }
        for receiver in (portal, two):  # the people and names are made once
            send(receiver, events[:10])
            send(receiver, profiles[:5])
        runs: dict[str, list[Timing]] = {name: [] for name in sent}
        for _ in range(options.pairs):
            for name, what in sent.items():
                runs[name].append(send(*what))
        with stack.sink() as url:
            small = beside_an_export(portal, url, options.exported)
    rates = {name: show(name, timings, len(sent[name][1]) * RECORDS) for name, timings in runs.items()}
    one = max(rates["events"], rates[f"events, {CONNECTIONS} connections"])
    p50, p95 = (statistics.quantiles(small, n=100)[place] for place in (49, 94))
    print(f"one process: at least {WANTED:,} events and {PROFILES_WANTED:,} profiles a second are wanted")
    print(f"events / bare sink       {rates['events'] / rates['bare sink']:6.3f}")
    print(f"two processes / one      {rates['two processes'] / one:6.2f}   (at least {TWO_WANTED})")
    print(f"requests of {SMALL} beside an export   p50 {p50:.0f} ms   p95 {p95:.0f} ms   (under {SMALL_WANTED:.0f})")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")
    main()
