"""Live Data Streaming on a running portal: within seconds, many side by side, and when Amplitude is slow."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from amplitude_client.sandbox import Sandbox
from tests.endtoend.user import User, shop_events
from tests.portal import RunningPortal, wait_until

SLOW_SECONDS = 1.5  # for each request


@pytest.fixture(scope="module")
def amplitude() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


@pytest.fixture(scope="module")
def portal(amplitude: Sandbox) -> Iterator[RunningPortal]:
    hosts = {"AMPLITUDE_EU_URL": amplitude.eu_url, "AMPLITUDE_STANDARD_URL": amplitude.standard_url}
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        Path(name).chmod(0o755)
        with RunningPortal(Path(name), **hosts) as running:
            yield running


@pytest.fixture
def user(portal: RunningPortal, amplitude: Sandbox) -> User:
    amplitude.reset()
    return User(portal)


class Live:
    """A live export of a user, and what arrived of it."""

    def __init__(self, user: User, amplitude: Sandbox, key: str, **more: Any) -> None:
        self.user, self.amplitude, self.key = user, amplitude, key * 32
        integration = user.integrate(self.key, nickname=f"Growth {key}")
        self.id = user.api("POST", "exports/", expect=201, integration=integration["id"], frequency="live", **more)[
            "id"
        ]

    def now(self) -> dict[str, Any]:
        return self.user.api("GET", f"exports/{self.id}/", expect=200)

    def is_settled(self, count: int) -> bool:
        row = self.now()
        return bool(row["delivered"] == count and row["lag_seconds"] == 0)

    def arrived(self) -> Counter[int]:
        kept = [one["event"] for one in self.amplitude.events(api_key=self.key) if not one["duplicate"]]
        return Counter(event["event_properties"]["Number"] for event in kept)


@contextmanager
def slow(amplitude: Sandbox, key: str) -> Iterator[None]:
    amplitude.faults({"kind": "delay", "seconds": SLOW_SECONDS, "api_key": key})
    try:
        yield
    finally:
        amplitude.clear_faults()


def test_when_amplitude_is_slow_lag_grows_is_shown_and_nothing_is_lost(user: User, amplitude: Sandbox) -> None:
    export = Live(user, amplitude, "a")
    wait_until(lambda: export.now()["status"] == "RUNNING")
    records = shop_events(6_000)
    with slow(amplitude, export.key):
        for start in range(0, 6_000, 1_000):
            user.upload(records[start : start + 1_000])
        first = export.now()["lag_seconds"]
        assert first > 0
        wait_until(lambda: export.now()["lag_seconds"] > max(2.0, first))
    wait_until(lambda: export.is_settled(6_000))
    assert export.arrived() == Counter(range(6_000))


def test_a_slow_project_of_amplitude_does_not_hold_up_the_live_exports_beside_it(
    user: User, amplitude: Sandbox
) -> None:
    hindered, free = Live(user, amplitude, "b"), Live(user, amplitude, "c")
    wait_until(lambda: {hindered.now()["status"], free.now()["status"]} == {"RUNNING"})
    with slow(amplitude, hindered.key):
        user.upload(shop_events(3_000))
        wait_until(lambda: free.is_settled(3_000))
        assert hindered.now()["delivered"] < 3_000
    wait_until(lambda: hindered.is_settled(3_000))
    assert hindered.arrived() == free.arrived() == Counter(range(3_000))


def test_an_edit_applies_from_the_next_batch_and_the_runs_show_it(user: User, amplitude: Sandbox) -> None:
    export = Live(user, amplitude, "d")
    wait_until(lambda: export.now()["status"] == "RUNNING")
    user.upload(shop_events(40))
    wait_until(lambda: export.is_settled(40))
    user.api("PATCH", f"exports/{export.id}/", expect=200, excluded_properties=["Title"])
    runs = f"exports/{export.id}/runs/"
    wait_until(lambda: [run["status"] for run in user.api("GET", runs, expect=200)["results"]] == ["RUNNING", "DONE"])
    user.upload(shop_events(40))
    wait_until(lambda: export.is_settled(80))
    kept = [one["event"]["event_properties"] for one in amplitude.events(api_key=export.key)]
    assert ["Title" in properties for properties in kept] == [True] * 40 + [False] * 40
