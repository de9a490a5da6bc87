"""Stops at random instants: no request begins more than a second later, and the counts are what arrived."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from amplitude_client.sandbox.state import project_of
from tests.faults.scene import Scene
from tests.portal import wait_until

TOGETHER = 4
SEED = 20_261_124
LATE_SECONDS = 1.0


def stop_at_random(on: Scene, count: int) -> str:
    """Stop `count` exports; a sentence with what was seen. AssertionError where a rule does not hold."""
    rng = random.Random(SEED)  # noqa: S311 no secret
    on.amplitude.clear_faults()
    on.amplitude.faults({"kind": "delay", "seconds": 0.05}, {"kind": "bad_request", "contains": '"Number": 77}'})
    latest, unconfirmed = 0.0, 0
    for first in range(0, count, TOGETHER):
        on.amplitude.reset()
        waits = [rng.random() * 0.8 for _ in range(min(TOGETHER, count - first))]
        with ThreadPoolExecutor(TOGETHER) as pool:
            seen = list(pool.map(lambda pair: _stop_one(on, *pair), enumerate(waits, first)))
        latest = max(latest, *(late for late, _ in seen))
        unconfirmed += sum(open_ for _, open_ in seen)
    return (
        f"{count} stops at random instants: the last request began {latest:.2f} s after its stop (at most "
        f"{LATE_SECONDS:.0f} s), {unconfirmed} of them with an outcome unknown; all other counts equal what arrived."
    )


def _stop_one(on: Scene, number: int, wait: float) -> tuple[float, bool]:
    """(seconds from the stop to the last request's begin, whether an outcome stayed unknown)"""
    key = f"{number:08x}" * 4
    user = on.user
    export = user.export_last_days(user.integrate(key, nickname=f"Stop {number}"))
    time.sleep(wait)
    row = user.api("POST", f"exports/{export['id']}/stop/", expect=200)
    stopped_at = time.time()
    assert row["status"] == "STOPPED"

    def settled() -> bool:
        nonlocal row
        row = user.api("GET", f"exports/{export['id']}/", expect=200)
        return row["in_flight"] == 0

    wait_until(settled, seconds=40)
    begun = [one["started_at"] for one in on.amplitude.requests() if one["project"] == project_of(key)]
    late = max([begin - stopped_at for begin in begun], default=0.0)
    assert late <= LATE_SECONDS, f"a request began {late:.2f} s after the stop"
    _check_counts(on, key, row)
    return late, bool(row["unconfirmed"])


def _check_counts(on: Scene, key: str, row: dict[str, Any]) -> None:
    arrived = [one for one in on.amplitude.events(api_key=key) if not one["duplicate"]]
    if not row["unconfirmed"]:
        assert row["delivered"] == len(arrived), (row, len(arrived))
