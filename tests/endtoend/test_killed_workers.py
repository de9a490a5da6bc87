"""Workers killed half-way come back, and nothing is lost or doubled."""

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
from tests.portal import RunningPortal

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


def test_workers_killed_half_way_lose_and_double_nothing(portal: RunningPortal, amplitude: Sandbox) -> None:
    user = User(portal)
    file = portal.folder / "events.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, shop_events(EVENTS))).encode()))
    imported = portal.manage("import_events", str(file), "--project", user.project["account_id"], "--json")
    assert imported.returncode == 0, imported.stderr

    amplitude.faults({"kind": "delay", "seconds": 0.2})
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
