"""Who gets in: a token names a project, and nothing of another project is ever found."""

import pytest
from django.db import OperationalError
from django.utils import timezone
from rest_framework.test import APIClient

from exports_portal.common.api import handle
from projects.credentials import revoke_credential
from projects.models import Credential
from tests.factories import (
    TESTS,
    ExportFactory,
    IntegrationFactory,
    RejectedFactory,
    passcode_for,
    token_for,
)

LISTS = ("/api/v1/integrations/", "/api/v1/exports/", "/api/v1/events/")
BY_ID = (
    ("get", "/api/v1/integrations/{integration}/"),
    ("patch", "/api/v1/integrations/{integration}/"),
    ("delete", "/api/v1/integrations/{integration}/"),
    ("post", "/api/v1/integrations/{integration}/test/"),
    ("get", "/api/v1/exports/{export}/"),
    ("patch", "/api/v1/exports/{export}/"),
    ("post", "/api/v1/exports/{export}/stop/"),
    ("post", "/api/v1/exports/{export}/retry/"),
    ("post", "/api/v1/exports/{export}/run-now/"),
    ("get", "/api/v1/exports/{export}/preview/"),
    ("get", "/api/v1/exports/{export}/runs/"),
    ("get", "/api/v1/runs/{run}/"),
    ("get", "/api/v1/runs/{run}/rejected/"),
)


@pytest.mark.parametrize("address", LISTS)
def test_without_a_token_the_answer_is_401_and_says_how(db, address):
    answer = APIClient().get(address)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer ", "Bearer a b", "Basic YTpi", "Bearer \u00e9"])
def test_a_wrong_token_is_401_never_a_redirect(db, header):
    answer = APIClient().get("/api/v1/exports/", HTTP_AUTHORIZATION=header)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_passcode_is_not_a_token(project):
    answer = APIClient().get("/api/v1/exports/", HTTP_AUTHORIZATION=f"Bearer {passcode_for(project)}")
    assert answer.status_code == 401


def test_a_revoked_token_is_refused_at_once(api, project):
    assert api.get("/api/v1/exports/").status_code == 200
    revoke_credential(credential=Credential.objects.get(project=project), by=TESTS, now=timezone.now())
    assert api.get("/api/v1/exports/").status_code == 401


@pytest.mark.parametrize(("method", "address"), BY_ID)
def test_another_projects_id_is_404(api, method, address):
    record = RejectedFactory()
    export = record.run.export
    path = address.format(integration=export.integration_id, export=export.pk, run=record.run_id)
    answer = getattr(api, method)(path, {})
    assert answer.status_code == 404, answer.content


@pytest.mark.parametrize(("method", "address"), BY_ID)
def test_an_id_that_nothing_has_is_404(api, method, address):
    ids = dict.fromkeys(("integration", "export", "run"), 10**30)
    assert getattr(api, method)(address.format(**ids), {}).status_code == 404


def test_lists_hold_the_projects_own_rows_only(api, project):
    ExportFactory()
    own = ExportFactory(project=project)
    exports = api.get("/api/v1/exports/").json()
    integrations = api.get("/api/v1/integrations/").json()
    assert [row["id"] for row in exports["results"]] == [own.pk]
    assert [row["id"] for row in integrations["results"]] == [own.integration_id]


def test_an_export_cannot_use_another_projects_integration(api):
    foreign = IntegrationFactory()
    answer = api.post("/api/v1/exports/", {"integration": foreign.pk, "frequency": "recurring"})
    assert answer.status_code == 400
    assert answer.json()["integration"] == ["Choose one of this project's integrations."]


@pytest.mark.parametrize("address", ["/api/v1/nothing/", "/api/v1/exports", "/api/v1/exports/abc/", "/api/"])
def test_unknown_addresses_are_404_in_json(api, address):
    for client in (api, APIClient()):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "detail" in answer.json()


@pytest.mark.parametrize("address", [*LISTS, "/api/v1/runs/1/"])
def test_a_method_that_is_not_offered_is_405(api, address):
    assert api.put(address, {}).status_code in (404, 405)


def test_a_session_does_not_open_the_api(client, django_user_model, project):
    client.force_login(django_user_model.objects.create_superuser("root@example.com", "x"))
    assert client.get("/api/v1/exports/").status_code == 401


def test_tokens_of_two_projects_open_two_projects(project):
    other = ExportFactory()
    token = token_for(other.project)
    answer = APIClient().get("/api/v1/exports/", HTTP_AUTHORIZATION=f"bearer {token}")
    assert [row["id"] for row in answer.json()["results"]] == [other.pk]


def test_a_database_that_is_away_is_503_with_a_sentence_and_no_page():
    response = handle(OperationalError("the database system is shutting down"), {})
    assert response is not None
    assert response.status_code == 503
    assert "try again" in response.data["detail"]
