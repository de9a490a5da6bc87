"""`make run` in an empty folder, and the whole job over HTTP, compared event by event."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.user import User, arrivals, shop_events
from tests.portal import RunningPortal

KEY = "5eed" * 8


@pytest.fixture(scope="module")
def portal() -> Iterator[RunningPortal]:
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with RunningPortal(folder, command=("make", "run"), PORTAL_DEMO="1") as running:
            yield running


@pytest.fixture(scope="module")
def user(portal: RunningPortal) -> User:
    return User(portal)


def test_what_is_uploaded_arrives_at_amplitude_event_by_event(portal: RunningPortal, user: User) -> None:
    records = shop_events(2_500)
    assert user.upload(records)["unprocessed"] == []
    integration = user.integrate(KEY)
    assert KEY not in str(integration)
    assert user.api("POST", f"integrations/{integration['id']}/test/", expect=200)["ok"] is True

    export = user.export_last_days(integration)
    assert export["status"] == "PENDING"
    done, seen = user.wait_for(export, "DONE", seconds=60)
    assert seen in (["PENDING", "RUNNING", "DONE"], ["RUNNING", "DONE"], ["PENDING", "DONE"], ["DONE"])
    assert (done["read"], done["delivered"], done["rejected"], done["held"], done["skipped"]) == (2_500, 2_500, 0, 0, 0)

    run = user.api("GET", f"exports/{export['id']}/runs/", expect=200)["results"][0]
    assert (run["status"], run["accounted"], run["read"]) == ("DONE", True, 2_500)

    arrived = arrivals(portal.addresses["sandbox_eu_url"], KEY)
    assert {arrival["region"] for arrival in arrived} == {"europe"}
    sent = [arrival["event"] for arrival in arrived]
    assert Counter(
        (event["user_id"], event["event_type"], event["time"], str(event["event_properties"])) for event in sent
    ) == Counter(
        (record["identity"], record["evtName"], record["ts"] * 1000, str(_as_stored(record["evtData"])))
        for record in records
    )
    assert len({event["insert_id"] for event in sent}) == len(sent)


def test_the_demo_delivers_its_own_exports(portal: RunningPortal) -> None:
    text = "\n".join(portal.lines)
    assert "batch.delivered" in text
    assert "run.done" in text


def _as_stored(properties: dict[str, object]) -> dict[str, object]:
    """PostgreSQL's jsonb orders keys by length, then by bytes."""
    return dict(sorted(properties.items(), key=lambda pair: (len(pair[0].encode()), pair[0].encode())))
