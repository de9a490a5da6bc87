"""Runs that are interrupted half-way, by a killed worker or by a person: nothing is lost, doubled, or sent late."""

import gzip
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from amplitude_client.sandbox import Sandbox
from tests.endtoend.user import User, shop_events
from tests.portal import RunningPortal, wait_until

KEY = "dead" * 8
EVENTS = 40_000


@pytest.fixture(scope="module")
def amplitude() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


@pytest.fixture(scope="module")
def portal(amplitude: Sandbox) -> Iterator[RunningPortal]:
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        urls = {"AMPLITUDE_EU_URL": amplitude.eu_url, "AMPLITUDE_STANDARD_URL": amplitude.standard_url}
        with RunningPortal(folder, PORTAL_LEASE_SECONDS="3", **urls) as running:
            yield running


@pytest.fixture
def user(portal: RunningPortal, amplitude: Sandbox) -> User:
    """A user with events in the log, and an Amplitude that takes its time."""
    user = User(portal)
    file = portal.folder / "events.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, shop_events(EVENTS))).encode()))
    imported = portal.manage("import_events", str(file), "--project", user.project["account_id"], "--json")
    assert imported.returncode == 0, imported.stderr
    amplitude.faults({"kind": "delay", "seconds": 0.2})
    return user


def test_workers_killed_half_way_lose_and_double_nothing(portal: RunningPortal, amplitude: Sandbox, user: User) -> None:
    export = user.export_last_days(user.integrate(KEY))
    for _ in range(3):
        _wait_for_progress(user, export)
        _kill_bulk_workers(portal)
    amplitude.clear_faults()
    done, _ = user.wait_for(export, "DONE", seconds=120)

    assert (done["read"], done["delivered"], done["unconfirmed"], done["in_flight"]) == (EVENTS, EVENTS, 0, 0)
    arrived = amplitude.events(api_key=KEY)
    kept = [arrival["event"]["event_properties"]["Number"] for arrival in arrived if not arrival["duplicate"]]
    assert sorted(kept) == list(range(EVENTS))
    assert len(arrived) - len(kept) <= 3 * 2_000, "at most one batch is sent again for each kill"
    assert "lease.taken_over" in portal.output


def test_a_stop_half_way_sends_nothing_late_and_counts_what_was_taken(amplitude: Sandbox, user: User) -> None:
    key = "5709" * 8
    export = user.export_last_days(user.integrate(key))
    _wait_for_progress(user, export)
    stopped = user.api("POST", f"exports/{export['id']}/stop/", expect=200)
    stopped_at = time.time()
    assert stopped["status"] == "STOPPED"
    wait_until(lambda: user.api("GET", f"exports/{export['id']}/", expect=200)["in_flight"] == 0, seconds=10)
    amplitude.clear_faults()

    counts = user.api("GET", f"exports/{export['id']}/", expect=200)
    assert 0 < counts["delivered"] < EVENTS
    assert (counts["status"], counts["unconfirmed"]) == ("STOPPED", 0)
    assert counts["delivered"] == len(amplitude.events(api_key=key))
    assert max(request["started_at"] for request in amplitude.requests()) <= stopped_at + 1


def _wait_for_progress(user: User, export: dict[str, object]) -> None:
    """Wait until more of the export has been delivered than now."""
    before = user.api("GET", f"exports/{export['id']}/", expect=200)["delivered"]
    for _ in range(600):
        if user.api("GET", f"exports/{export['id']}/", expect=200)["delivered"] > before:
            return
        time.sleep(0.1)
    raise AssertionError(f"no progress after {before} events; the portal said:\n{user.portal.output}")


def _kill_bulk_workers(portal: RunningPortal) -> None:
    worker = portal.child("celery", "bulk")
    assert worker is not None
    family = [worker, *worker.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)
