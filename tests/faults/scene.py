"""A running portal, an Amplitude, and one export at a time to which a fault is done; the cost is counted outside."""

import itertools
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from amplitude_client.sandbox import Sandbox
from amplitude_client.sandbox.state import project_of
from exports_portal import processes
from exports_portal.runtime import BASE_DIR
from tests.endtoend.user import User, shop_events
from tests.portal import RunningPortal, wait_until

EVENTS = 9_000
BATCH = 2_000
SECONDS = 90.0  # after which a run that is not DONE counts as lost
DELAY = 0.15  # of each answer, so that a run lasts long enough to be hit
RECOVERY_SECONDS = 20.0  # rule 5, with the lease of 15 s
BEYOND_THE_LEASE = 10.0  # with a shorter one: a tick, and the start of a worker or server on a busy machine


@dataclass(frozen=True)
class Cost:
    """lost and doubled_after must be 0; doubled counts repeats that the insert_id lets Amplitude drop.

    within: the seconds that recovery may take.
    """

    fault: str
    lost: int
    doubled: int
    doubled_after: int
    out_of_order: int
    seconds: float
    requests: int
    status: str
    allowed: int
    within: float

    @property
    def broken(self) -> list[str]:
        """The rules that do not hold."""
        rules = {
            "events were lost": self.lost,
            "events counted twice": self.doubled_after,
            "a person's events changed their order": self.out_of_order,
            "more than one batch was sent again per kill": self.doubled > self.allowed,
            "it did not end": self.status != "DONE",
            f"it did not go on within {self.within:.0f} s": self.seconds > self.within,
        }
        return [rule for rule, is_broken in rules.items() if is_broken]


class Scene:
    """`begin` makes an export; the fault happens; `cost` waits for the end and counts."""

    def __init__(self, portal: RunningPortal, amplitude: Sandbox, *, lease: float, shards: int = 1) -> None:
        self.portal, self.amplitude, self.lease, self.shards = portal, amplitude, lease, shards
        self.user = User(portal)
        self.user.upload(shop_events(EVENTS))
        self._keys = itertools.count(1)
        self.key = ""
        self.export: dict[str, Any] = {}
        self.ended_at = 0.0
        self.before = 0

    def begin(self) -> None:
        self.key = f"{next(self._keys):032x}"
        integration = self.user.integrate(self.key, nickname=f"Growth {self.key[-6:]}")
        self.export = self.user.export_last_days(integration)

    def shown(self, count: str) -> int:
        """A count of the export as REST tells it."""
        return int(self.user.api("GET", f"exports/{self.export['id']}/", expect=200)[count])

    def delivered(self) -> int:
        return self.shown("delivered")

    def progress(self) -> None:
        """Wait until more has been delivered than now."""
        before = self.delivered()
        wait_until(lambda: self.delivered() > before, seconds=SECONDS, every=0.03)

    def over(self) -> None:
        """The fault ends now: from here on recovery is timed."""
        with suppress(Exception):
            self.before = self.delivered()
        self.ended_at = time.monotonic()

    def cost(self, fault: str, *, batches: int = 1) -> Cost:
        """Wait for the end and count. batches: how many may have been out, and so be sent again."""

        def moved() -> bool:
            with suppress(Exception):  # the portal may still be coming back
                row = self.user.api("GET", f"exports/{self.export['id']}/", expect=200)
                return row["delivered"] > self.before or row["status"] == "DONE"
            return False

        wait_until(moved, seconds=SECONDS, every=0.05)
        seconds = time.monotonic() - self.ended_at
        self.amplitude.clear_faults()
        with suppress(AssertionError):
            self.user.wait_for(self.export, "DONE", seconds=SECONDS)
        shown = self.user.api("GET", f"exports/{self.export['id']}/", expect=200)
        arrived = self.amplitude.events(api_key=self.key)
        kept = without_repeats(arrived)
        sent = [one for one in self.amplitude.requests() if one["project"] == project_of(self.key)]
        return Cost(
            fault=fault,
            lost=EVENTS - len(set(map(_number, kept))) - shown["rejected"],
            doubled=len(arrived) - len(kept),
            doubled_after=counted_twice(kept),
            out_of_order=_out_of_order(kept),
            seconds=seconds,
            requests=len(sent),
            status=shown["status"],
            allowed=batches * BATCH,
            within=min(RECOVERY_SECONDS, self.lease + BEYOND_THE_LEASE),
        )

    def worker(self, queue: str = "bulk") -> psutil.Process:
        found: list[psutil.Process] = []

        def look() -> bool:
            found[:] = [process for process in [self.portal.child("celery", queue)] if process]
            return bool(found)

        wait_until(look, seconds=30)
        return found[0]

    def kill(self, process: psutil.Process) -> None:
        family = [process, *process.children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=10)

    @contextmanager
    def no_restarts(self) -> Iterator[None]:
        """The supervisor sleeps: what dies stays dead until the end of the block."""
        supervisor = psutil.Process(self.portal.process.pid)
        supervisor.suspend()
        try:
            yield
        finally:
            supervisor.resume()

    def run_killer(self, step: str) -> None:
        """In place of the portal's bulk workers: one that is killed at `step`."""
        words = ["-Q", "bulk", "-n", "killer@%h", "--pool", "solo", "--without-gossip", "--without-mingle"]
        command = [sys.executable, "-m", "tests.faults.killer", step, "--", "worker", *words]
        killer = self.spawn(*command)
        try:
            assert killer.wait(SECONDS) == -signal.SIGKILL, f"the step {step} did not come"
        finally:
            processes.end(killer, first=signal.SIGKILL)

    def spawn(self, *command: str) -> "subprocess.Popen[bytes]":
        environment = self.portal.environment | {"PYTHONPATH": str(BASE_DIR)}
        return processes.spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


Fault = Callable[[Scene], None]


def without_repeats(arrived: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Amplitude keeps by the rule that the portal relies on: the first of each insert_id and device_id.

    The sandbox's `duplicate` also follows an older rule, by event_id and time, which would hide a changed insert_id.
    """
    firsts: dict[tuple[str, str], dict[str, Any]] = {}
    for arrival in arrived:
        firsts.setdefault((arrival["event"]["insert_id"], arrival["device_id"]), arrival["event"])
    return list(firsts.values())


def counted_twice(kept: list[dict[str, Any]]) -> int:
    """How many of the kept events are another one once more; Number is different in all that were captured."""
    return len(kept) - len(set(map(_number, kept)))


def _number(event: dict[str, Any]) -> int:
    return int(event["event_properties"]["Number"])


def _out_of_order(kept: list[dict[str, Any]]) -> int:
    last: dict[str, int] = defaultdict(lambda: -1)
    wrong = 0
    for event in kept:
        wrong += _number(event) < last[event["user_id"]]
        last[event["user_id"]] = _number(event)
    return wrong
