"""`make run` in an empty folder, and the whole job over HTTP, compared event by event."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from exports_portal.embedded import free_port
from tests.endtoend.user import User, arrivals, shop_events
from tests.portal import RunningPortal

KEY = "5eed" * 8
CLUB_KEY = "c1ab" * 8


@pytest.fixture(scope="module")
def portal() -> Iterator[RunningPortal]:
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        port = free_port()
        own = f"http://127.0.0.1:{port}"  # the portal is its own CleverTap
        with RunningPortal(folder, port=port, command=("make", "run"), PORTAL_DEMO="1", CLEVERTAP_URL=own) as running:
            yield running


@pytest.fixture(scope="module")
def user(portal: RunningPortal) -> User:
    return User(portal)


def test_what_is_uploaded_arrives_at_amplitude_event_by_event(portal: RunningPortal) -> None:
    user, records = User(portal, name="Event by event"), shop_events(2_500)
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

    lines = [line for line in portal.lines if f" export={export['id']} " in line]
    (created,) = (line for line in lines if "run.created" in line)
    click = created.partition("request_id=")[2].split()[0]
    worked = [line for line in lines if "batch.delivered" in line or "run.started" in line or "run.done" in line]
    assert len(worked) >= 3
    assert all(f" request_id={click}" in line for line in worked)

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


IMPORT = """
from datetime import date
from django.utils import timezone
from exports_portal.common.audit import PORTAL
from projects.models import Project
from sources.actions import create_source
from sources.spec import SourceSpec
spec = SourceSpec("{account_id}", "in1", "UTC", ["Viewed"], date({day:%Y, %-m, %-d}), passcode="{passcode}")
create_source(project=Project.objects.get(account_id="{here}"), spec=spec, by=PORTAL, now=timezone.now())
"""


def test_workers_import_from_an_account_at_clevertap(portal: RunningPortal) -> None:
    there, here = User(portal, name="There", timezone="UTC"), User(portal, name="Here", timezone="UTC")
    moment = datetime.now(UTC) - timedelta(days=3)
    viewed = {"type": "event", "identity": "asha-rao", "evtName": "Viewed", "ts": int(moment.timestamp())}
    there.upload([{**viewed, "evtData": {"n": number}} for number in range(2_500)])
    code = IMPORT.format(here=here.project["account_id"], day=moment.date(), **there.project)
    done = portal.manage("shell", "-v0", "-c", code)
    assert done.returncode == 0, done.stderr
    days = {"from": f"{moment:%Y%m%d}", "to": f"{moment:%Y%m%d}"}

    def count() -> int:
        answer = here.session.post(
            f"{portal.url}/1/counts/events.json",
            json={"event_name": "Viewed", **days},
            headers={"X-CleverTap-Account-Id": here.project["account_id"]}
            | {"X-CleverTap-Passcode": here.project["passcode"]},
            timeout=30,
        )
        return int(answer.json().get("count", 0))  # the name is unknown until the first page is in

    here.wait_until(lambda: count() == 2_500, seconds=60)
    assert here.clevertap("counts/profiles.json", event_name="Viewed", **days)["count"] == 1


def test_changes_of_profiles_arrive_as_they_come_and_all_people_once(portal: RunningPortal) -> None:
    user = User(portal, name="Club")
    integration = user.integrate(CLUB_KEY)
    profiles = {"integration": integration["id"], "type": "user_profiles"}
    live = user.api("POST", "exports/", expect=201, frequency="live", **profiles)
    members = [
        {"type": "profile", "identity": f"member-{number:04}", "profileData": {"Name": "Müller 🎈", "Level": number}}
        for number in range(300)
    ]
    user.upload(members)
    left = [{"type": "profile", "identity": "member-0007", "profileData": {"Level": None, "email": "m7@example.com"}}]
    user.upload(left)
    user.wait_until(lambda: len(arrivals(portal.addresses["sandbox_eu_url"], CLUB_KEY)) == 301, seconds=60)
    changes = [arrival["event"] for arrival in arrivals(portal.addresses["sandbox_eu_url"], CLUB_KEY)]
    assert {event["event_type"] for event in changes} == {"$identify"}
    assert [event["user_properties"] for event in changes if event["user_id"] == "member-0007"] == [
        {"$set": {"Name": "Müller 🎈", "Level": 7}},
        {"$set": {"Email": "m7@example.com"}, "$unset": {"Level": "-"}},
    ]

    once = user.api("POST", "exports/", expect=201, frequency="one_time", **profiles)
    done, _ = user.wait_for(once, "DONE", seconds=60)
    assert (done["read"], done["delivered"]) == (300, 300)
    people = [arrival["event"] for arrival in arrivals(portal.addresses["sandbox_eu_url"], CLUB_KEY)][301:]
    as_they_are = {event["user_id"]: event["user_properties"] for event in people}
    assert len(as_they_are) == 300
    assert as_they_are["member-0007"] == {"$set": {"Name": "Müller 🎈", "Email": "m7@example.com"}}
    assert user.api("POST", f"exports/{live['id']}/stop/", expect=200)["delivered"] == 301


def test_deleted_people_are_in_no_export_and_the_ledger_still_agrees(portal: RunningPortal) -> None:
    user = User(portal, name="Forgetful")
    integration = user.integrate("f0f0" * 8)
    records = shop_events(200, people=10)
    user.upload(records)
    done, _ = user.wait_for(user.export_last_days(integration), "DONE", seconds=60)
    assert done["delivered"] == 200
    who = records[0]["identity"]
    answer = user.clevertap("delete/profiles.json", identity=[who])
    assert answer == {"status": "success", "processed": 1}

    kept = sum(record["identity"] != who for record in records)
    days = {key: done[key] for key in ("date_from", "date_to")}
    spec = {"integration": integration["id"], "type": "events", "frequency": "one_time", **days}
    user.wait_until(lambda: user.api("POST", "exports/preview/", expect=200, **spec)["estimate"] == kept, seconds=30)
    again, _ = user.wait_for(user.api("POST", "exports/", expect=201, **spec), "DONE", seconds=60)
    assert again["delivered"] == kept < 200
    assert user.api("GET", f"exports/{done['id']}/", expect=200)["delivered"] == 200
    assert portal.manage("check_ledger").returncode == 0


def test_metrics_add_up_over_all_processes(portal: RunningPortal, user: User) -> None:
    """Two web processes and several workers: what they tell is what stands in the database and the log."""
    session = requests.Session()

    def told() -> dict[tuple[str, ...], float]:
        text = session.get(f"{portal.url}/metrics", timeout=30).text
        found = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return {(sample.name, *sample.labels.values()): sample.value for sample in found}

    def stored() -> int:
        with psycopg.connect(portal.addresses["database_url"]) as connection:
            (delivered,) = connection.execute("SELECT sum(delivered) FROM exports_shard").fetchone() or (0,)
            return int(delivered)

    def batches() -> int:
        return sum("batch.delivered" in line for line in list(portal.lines))

    before = told().get(("portal_http_request_seconds_count", "upload", "200"), 0)  # tests come in any order
    for number in range(20):  # each over a connection of its own, so both web processes get some
        user.session = requests.Session()
        user.upload(shop_events(number + 1))
    user.wait_until(
        lambda: told().get(("portal_http_request_seconds_count", "upload", "200")) == before + 20, seconds=30
    )
    user.wait_until(lambda: told()["portal_records", "delivered"] == stored() >= 2_500, seconds=30)
    user.wait_until(lambda: told()["portal_partner_request_seconds_count", "200"] == batches() > 0, seconds=30)
    status = portal.manage("status")
    assert (status.returncode, status.stderr) == (0, "")
    assert f"delivered {stored():,}" in status.stdout


def test_the_demo_delivers_its_own_exports(portal: RunningPortal) -> None:
    text = "\n".join(portal.lines)
    assert "batch.delivered" in text
    assert "run.done" in text


def _as_stored(properties: dict[str, object]) -> dict[str, object]:
    """PostgreSQL's jsonb orders keys by length, then by bytes."""
    return dict(sorted(properties.items(), key=lambda pair: (len(pair[0].encode()), pair[0].encode())))
