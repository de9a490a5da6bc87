"""Stops at random instants: no request begins more than a second later, and the counts tell what arrived.

Every other stop comes after a connection that Amplitude closed without an answer, so that an outcome is unknown.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from amplitude_client.sandbox.state import project_of
from tests.faults.scene import Scene, without_repeats
from tests.portal import wait_until

TOGETHER = 4
SEED = 20_261_124
LATE_SECONDS = 1.0


def stop_at_random(on: Scene, count: int) -> str:
    """Stop `count` exports; a sentence with what was seen. AssertionError where a rule does not hold."""
    rng = random.Random(SEED)  # noqa: S311 no secret
    latest, unconfirmed = 0.0, 0
    for first in range(0, count, TOGETHER):
        on.amplitude.reset()
        on.amplitude.clear_faults()
        on.amplitude.faults({"kind": "delay", "seconds": 0.05}, {"kind": "bad_request", "contains": '"Number": 77}'})
        waits = [rng.random() * 0.8 for _ in range(min(TOGETHER, count - first))]
        with ThreadPoolExecutor(TOGETHER) as pool:
            seen = list(pool.map(lambda pair: _stop_one(on, *pair), enumerate(waits, first)))
        latest = max(latest, *(late for late, _ in seen))
        unconfirmed += sum(open_ for _, open_ in seen)
    return (
        f"{count} stops at random instants: the last request began {latest:.2f} s after its stop (at most "
        f"{LATE_SECONDS:.0f} s). {unconfirmed} of them left an outcome unknown. What arrived is what is shown as "
        "accepted, or at most that and the unconfirmed."
    )


def _stop_one(on: Scene, number: int, wait: float) -> tuple[float, bool]:
    """(seconds from the stop to the last request's begin, whether an outcome stayed unknown)"""
    key = f"{number:08x}" * 4
    loses_an_answer = number % 2 == 1
    if loses_an_answer:
        on.amplitude.faults({"kind": "close", "accept": True, "api_key": key, "contains": '"Number": 3077}'})
    export = on.user.export_last_days(on.user.integrate(key, nickname=f"Stop {number}"))
    if loses_an_answer:
        wait_until(lambda: any(_is_unanswered(one) for one in _requests(on, key)), seconds=40, every=0.02)
    time.sleep(wait)
    row = on.user.api("POST", f"exports/{export['id']}/stop/", expect=200)
    stopped_at = time.time()
    assert row["status"] == "STOPPED"

    def settled() -> bool:
        nonlocal row
        row = on.user.api("GET", f"exports/{export['id']}/", expect=200)
        return row["in_flight"] == 0

    wait_until(settled, seconds=40)
    late = max([one["started_at"] - stopped_at for one in _requests(on, key)], default=0.0)
    assert late <= LATE_SECONDS, f"a request began {late:.2f} s after the stop"
    assert row["unconfirmed"] or not loses_an_answer, row
    arrived = len(without_repeats(on.amplitude.events(api_key=key)))
    assert row["delivered"] <= arrived <= row["delivered"] + row["unconfirmed"], (row, arrived)
    return late, bool(row["unconfirmed"])


def _requests(on: Scene, key: str) -> list[dict[str, Any]]:
    return [one for one in on.amplitude.requests() if one["project"] == project_of(key)]


def _is_unanswered(request: dict[str, Any]) -> bool:
    return request["ended_at"] is not None and request["status"] is None
