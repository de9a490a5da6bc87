"""What the REST API says about real events and a real (local) Amplitude: previews and Test connection."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from rest_framework.test import APIClient

from amplitude_client.sandbox import Sandbox
from events.ingest import ingest
from tests.factories import API_KEY, ExportFactory, IntegrationFactory, ProjectFactory, token_for

STEPS = {"name", "outcome", "message"}


@pytest.fixture
def sandbox(settings) -> Iterator[Sandbox]:
    with Sandbox() as server:
        settings.AMPLITUDE_EU_URL, settings.AMPLITUDE_STANDARD_URL = server.eu_url, server.standard_url
        yield server


@pytest.fixture
def nobody(settings) -> None:
    """Both regions lie where nothing listens."""
    settings.AMPLITUDE_EU_URL = settings.AMPLITUDE_STANDARD_URL = "http://127.0.0.1:1"


@pytest.fixture
def committed(transactional_db):
    """A project whose events are really committed: the horizon never passes a transaction of one's own."""
    with connection.cursor() as cursor:  # flushing between tests empties this table too
        cursor.execute(
            "INSERT INTO events_logbase SELECT 1, 0, system_identifier FROM pg_control_system() ON CONFLICT DO NOTHING"
        )
    project = ProjectFactory()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_for(project)}")
    return project, client


def capture(project, *records):
    now = datetime.now(UTC)
    at = int(now.timestamp()) - 60
    events = [{"type": "event", "ts": at, "evtName": "Searched", "evtData": {}, **record} for record in records]
    result = ingest(project=project, records=events, now=now)
    assert not result.refused


def test_test_connection_tells_each_step_and_marks_the_card(api, project, sandbox):
    row = IntegrationFactory(project=project)
    answer = api.post(f"/api/v1/integrations/{row.pk}/test/")
    assert answer.status_code == 200
    body = answer.json()
    assert body["ok"] is True
    assert all(set(step) == STEPS for step in body["steps"])
    assert {step["outcome"] for step in body["steps"]} <= {"passed", "skipped"}
    shown = api.get(f"/api/v1/integrations/{row.pk}/").json()
    assert shown["test_ok"] is True
    assert shown["tested_at"] is not None
    assert API_KEY not in answer.content.decode()


def test_values_can_be_tested_before_they_are_saved(api, project, sandbox):
    body = {"partner": "amplitude", "api_key": API_KEY, "data_residency": "standard", "nickname": "Not yet"}
    answer = api.post("/api/v1/integrations/test/", body)
    assert answer.status_code == 200, answer.content
    assert answer.json()["ok"] is True
    assert api.get("/api/v1/integrations/").json()["count"] == 0


def test_an_address_that_does_not_answer_is_a_failed_step_not_an_error(api, project, nobody):
    row = IntegrationFactory(project=project)
    body = api.post(f"/api/v1/integrations/{row.pk}/test/").json()
    assert body["ok"] is not True
    assert {step["outcome"] for step in body["steps"]} <= {"passed", "failed", "skipped"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"api_key": "a b"}, "api_key"), ({"partner": "moon"}, "partner"), ({"x": 1}, "x"), ({"api_key": ""}, "api_key")],
)
def test_testing_wrong_values_is_400_at_the_field(api, project, nobody, changes, field):
    answer = api.post("/api/v1/integrations/test/", {"partner": "amplitude", "api_key": API_KEY, **changes})
    assert answer.status_code == 400
    assert set(answer.json()) == {field}


def body_for(project):
    today = datetime.now(UTC).astimezone(project.tz).date()
    first = today - timedelta(days=1)
    integration = IntegrationFactory(project=project)
    dates = {"date_from": first.isoformat(), "date_to": today.isoformat()}
    return {"integration": integration.pk, "frequency": "one_time", **dates}


def test_a_preview_shows_records_as_the_partner_gets_them_and_creates_nothing(committed):
    project, client = committed
    capture(project, {"identity": "customer-1", "evtData": {"Query": "chai ☕"}}, {"identity": "customer-2"})
    answer = client.post("/api/v1/exports/preview/", body_for(project))
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["estimate"] == 2
    first = next(record for record in body["records"] if record["payload"]["user_id"] == "customer-1")
    assert first["verdict"] == "sent"
    assert first["event_name"] == first["payload"]["event_type"] == "Searched"
    assert first["payload"]["event_properties"] == {"Query": "chai ☕"}
    assert client.get("/api/v1/exports/").json()["count"] == 0


def test_a_preview_holds_ten_records_at_most(committed):
    project, client = committed
    capture(project, *({"identity": f"customer-{number}"} for number in range(15)))
    body = client.post("/api/v1/exports/preview/", body_for(project)).json()
    assert (len(body["records"]), body["estimate"]) == (10, 15)


def test_a_saved_export_has_a_preview_too(committed):
    project, client = committed
    capture(project, {"identity": "customer-1"})
    pk = client.post("/api/v1/exports/", body_for(project)).json()["id"]
    body = client.get(f"/api/v1/exports/{pk}/preview/").json()
    assert [record["verdict"] for record in body["records"]] == ["sent"]


def test_a_preview_of_wrong_input_is_400_at_its_field(api, project):
    answer = api.post("/api/v1/exports/preview/", {**body_for(project), "date_to": "2020-01-01"})
    assert answer.status_code == 400
    assert set(answer.json()) == {"date_to"}


def test_a_preview_never_reads_another_projects_events(committed):
    project, client = committed
    capture(ProjectFactory(), {"identity": "stranger"})
    body = client.post("/api/v1/exports/preview/", body_for(project)).json()
    assert body == {"estimate": 0, "looked_at": 0, "records": []}


def test_a_preview_of_a_stopped_export_still_opens(committed):
    project, client = committed
    export = ExportFactory(project=project, recurring=True, stopped=True)
    assert client.get(f"/api/v1/exports/{export.pk}/preview/").status_code == 200
