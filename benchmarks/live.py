"""Live Data Streaming on a whole portal: latency under load, a slow Amplitude, and a thousand idle live exports.

`python -m benchmarks.live [--seconds N] [--idle-seconds N] [--exports N]`. Latency is from the answer to an upload to
the sandbox's receipt, per event; beside it a plain loop that polls the table, under the same load. Uploader, portal,
database and sandbox share the machine.
"""

import argparse
import logging
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import requests

from benchmarks import stack
from tests.endtoend.user import User, arrivals
from tests.portal import RunningPortal, wait_until

PER_SECOND = 500
CONNECTIONS = 4
RECORDS = 10  # an app's backend that sends what a few people did in the last moments
PEOPLE = 5_000
NAMES = ("Product Viewed", "Searched", "Added To Cart", "App Launched", "Notification Viewed")
KEYS = {"portal": f"{1:032x}", "polling loop": f"{2:032x}", "slow": f"{3:032x}"}
SLOW_SECONDS = 6.0  # that each request takes
PROJECTS = 20


class Uploads:
    """Uploads at a steady pace; `answered` has the time of the answer by the uid of each event."""

    def __init__(self, user: User) -> None:
        self.url = f"{user.portal.url}/1/upload"
        self.headers = {
            "X-CleverTap-Account-Id": user.project["account_id"],
            "X-CleverTap-Passcode": user.project["passcode"],
        }
        self.answered: dict[str, float] = {}

    def run(self, seconds: float) -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for done in [pool.submit(self._send, number, seconds) for number in range(CONNECTIONS)]:
                done.result()

    def _send(self, number: int, seconds: float) -> None:
        chance, every = random.Random(number), CONNECTIONS * RECORDS / PER_SECOND  # noqa: S311 the same each time
        begin = time.time() + every * number / CONNECTIONS
        with requests.Session() as session:
            session.trust_env = False
            for turn in range(int(seconds / every)):
                time.sleep(max(0.0, begin + turn * every - time.time()))
                records = [_record(chance) for _ in range(RECORDS)]
                answer = session.post(self.url, json={"d": records}, headers=self.headers, timeout=30)
                now = time.time()
                assert answer.json()["processed"] == RECORDS, answer.text
                self.answered.update((record["uid"], now) for record in records)


def _record(chance: random.Random) -> dict[str, Any]:
    return {
        "type": "event",
        "uid": str(uuid.uuid4()),
        "identity": f"user-{chance.randrange(PEOPLE):05}",
        "ts": int(time.time()),
        "evtName": chance.choice(NAMES),
        "evtData": {"Category": "Books", "Price": 499 + chance.randrange(100), "Product": "Café ☕", "In Stock": True},
    }


def latencies(uploads: Uploads, sandbox_url: str, key: str) -> list[float]:
    """Seconds from answer to receipt, sorted, of the events that arrive within 30 s."""
    received: dict[str, float] = {}

    def all_there() -> bool:
        received.update((one["event"]["insert_id"], one["received_at"]) for one in arrivals(sandbox_url, key))
        return uploads.answered.keys() <= received.keys()

    with suppress(AssertionError):  # the loop may lose some
        wait_until(all_there, every=1.0)
    return sorted(max(0.0, received[uid] - at) for uid, at in uploads.answered.items() if uid in received)


@contextmanager
def polling_loop(sandbox_url: str) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.poller", sandbox_url, KEYS["polling loop"]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def show(name: str, found: list[float], sent: int) -> float:
    """Print the percentiles of a sender's latencies and return the 95th."""
    p50, p95 = (statistics.quantiles(found, n=100)[place] for place in (49, 94))
    lost = f"{sent - len(found)} of {sent:,} lost"
    print(f"{name:14} p50 {p50:6.3f} s   p95 {p95:6.3f} s   worst {found[-1]:6.3f} s   {lost}")
    return p95


def live_export(user: User, key: str) -> dict[str, Any]:
    integration = user.integrate(key)
    export = user.api("POST", "exports/", expect=201, integration=integration["id"], frequency="live")
    user.wait_for(export, "RUNNING", seconds=30)
    return export


def measure_latency(portal: RunningPortal, sandbox_url: str, seconds: float) -> None:
    user = User(portal)
    export = live_export(user, KEYS["portal"])
    Uploads(user).run(3)  # people and names are made once
    uploads, cpu, began = Uploads(user), stack.cpu_of(portal), time.monotonic()
    uploads.run(seconds)
    busy = (stack.cpu_of(portal) - cpu) / (time.monotonic() - began)
    p95 = show("portal", latencies(uploads, sandbox_url, KEYS["portal"]), len(uploads.answered))
    user.api("POST", f"exports/{export['id']}/stop/", expect=200)
    with polling_loop(sandbox_url):
        uploads = Uploads(user)
        uploads.run(seconds / 4)
        peer = show("polling loop", latencies(uploads, sandbox_url, KEYS["polling loop"]), len(uploads.answered))
    print(f"portal p95 {p95:.3f} s   (at most 2)   {p95 / peer:.1f} times the loop's   {busy:.0%} of a core")


def measure_slow(portal: RunningPortal, sandbox_url: str) -> None:
    """Amplitude takes less than comes in: lag grows, and memory does not."""
    user = User(portal, name="Slow")
    export = live_export(user, KEYS["slow"])
    address = f"exports/{export['id']}/"
    uploads, before = Uploads(user), memory_mb(portal)
    fault = {"kind": "delay", "seconds": SLOW_SECONDS, "api_key": KEYS["slow"]}
    requests.post(f"{sandbox_url}/control/faults", json=fault, timeout=10).raise_for_status()
    uploads.run(SLOW_SECONDS * 2)
    lag, after = user.api("GET", address, expect=200)["lag_seconds"], memory_mb(portal)
    requests.delete(f"{sandbox_url}/control/faults", timeout=10).raise_for_status()
    began, sent = time.monotonic(), len(uploads.answered)
    wait_until(lambda: user.api("GET", address, expect=200)["delivered"] == sent, seconds=120)
    print(
        f"slow Amplitude  lag {lag:.1f} s after {2 * SLOW_SECONDS:.0f} s, live workers {before:.0f} > {after:.0f} MB,"
    )
    print(f"                all {sent:,} events there {time.monotonic() - began:.1f} s after it was quick again")
    user.api("POST", f"{address}stop/", expect=200)


def memory_mb(portal: RunningPortal) -> float:
    """Of the processes that deliver live exports."""
    worker = portal.child("celery", "-Q live")
    assert worker is not None
    return sum(process.memory_info().rss for process in worker.children()) / 2**20


def idle_cpu(portal: RunningPortal, seconds: float) -> float:
    """What share of a core all of the portal's processes take while nothing is captured."""
    time.sleep(5)
    before, began = stack.cpu_of(portal), time.monotonic()
    time.sleep(seconds)
    return (stack.cpu_of(portal) - before) / (time.monotonic() - began)


def make_live_exports(count: int) -> None:
    """Through the verbs, in projects of their own."""
    from datetime import UTC, datetime

    from exports.actions import create_export
    from exports.spec import ExportSpec
    from exports_portal.common.audit import PORTAL
    from partners.actions import create_integration
    from projects.models import Project

    for number in range(PROJECTS):
        now = datetime.now(UTC)
        project = Project.objects.create(account_id=f"IDLE-{number}", name=f"Idle {number}", timezone="Asia/Kolkata")
        integration = create_integration(
            project=project, partner="amplitude", nickname="Idle", values={"api_key": "0" * 32}, by=PORTAL, now=now
        )
        for _ in range(count // PROJECTS):
            create_export(project=project, spec=ExportSpec(integration.pk, "live"), by=PORTAL, now=now)


def measure_idle(portal: RunningPortal, seconds: float, count: int) -> None:
    import django

    django.setup()
    logging.disable(logging.INFO)
    from exports.models import Shard

    baseline = idle_cpu(portal, seconds / 2)
    make_live_exports(count)
    wait_until(lambda: Shard.objects.filter(open=True, idle=True).count() == count, seconds=300, every=0.5)
    loaded = idle_cpu(portal, seconds)
    cost = max(0.0, loaded - baseline)
    print(f"idle portal without exports     {baseline:6.2%} of a core")
    print(f"with {count:,} idle live exports   {loaded:6.2%} of a core: they cost {cost:.2%}   (under 5%)")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--idle-seconds", type=float, default=10)
    parser.add_argument("--exports", type=int, default=1_000)
    options = parser.parse_args()
    with stack.portal() as portal:
        sandbox_url = portal.environment["AMPLITUDE_EU_URL"]
        measure_latency(portal, sandbox_url, options.seconds)
        measure_slow(portal, sandbox_url)
        measure_idle(portal, options.idle_seconds, options.exports)


if __name__ == "__main__":
    main()
