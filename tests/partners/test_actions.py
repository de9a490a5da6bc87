"""What happens to an integration while others work with it: faults, pauses, disconnecting."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from pytest_httpserver import HTTPServer

from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid
from exports_portal.common.models import AuditEntry
from partners import actions, tasks
from partners.models import Integration
from projects.models import Project, Role
from tests.factories import API_KEY, ExportFactory, IntegrationFactory, MembershipFactory, token_for

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BY = Actor(None, "test")


@pytest.fixture
def integration() -> Integration:
    integration: Integration = IntegrationFactory(created_at=NOW - timedelta(days=1))
    return integration


def edited(integration: Integration) -> Integration:
    values = {"api_key": API_KEY[::-1]}
    return actions.edit_integration(integration=integration, nickname="New key", values=values, by=BY, now=NOW)


def test_a_setup_fault_is_told_once_and_on_every_active_export(integration: Integration) -> None:
    exports = [ExportFactory(project=integration.project, integration=integration) for _ in range(2)]
    for _ in range(2):
        actions.record_setup_fault(integration=integration, message="The key is wrong.", now=NOW, again=None)
    for export in exports:
        export.refresh_from_db()
        assert (export.needs_attention, export.last_error) == (True, "The key is wrong.")
    assert AuditEntry.objects.filter(action="integration.setup_fault").count() == 1


def test_a_fault_of_the_old_key_does_not_stop_the_new_one(integration: Integration) -> None:
    as_sent = Integration.objects.get(pk=integration.pk)
    edited(integration)
    actions.record_setup_fault(integration=as_sent, message="The key is wrong.", now=NOW, again=None)
    assert Integration.objects.get(pk=integration.pk).setup_fault == ""


@pytest.mark.parametrize(
    ("values", "says"), [({"api_key": API_KEY[::-1]}, None), ({"data_residency": "standard"}, None), ({}, True)]
)
def test_a_test_says_nothing_of_another_key_or_place(
    integration: Integration, values: dict[str, str], says: bool | None
) -> None:
    Integration.objects.update(tested_at=NOW, test_ok=True, test_message="It works.")
    values = {"user_id_mapping": "email", **values}
    actions.edit_integration(integration=integration, nickname="New", values=values, by=BY, now=NOW)
    integration.refresh_from_db()
    about = (integration.tested_at, integration.test_ok, integration.test_message)
    assert about == ((NOW, True, "It works.") if says else (None, None, ""))


def test_a_test_of_the_old_key_says_nothing_of_the_new_one(
    integration: Integration, httpserver: HTTPServer, settings: Any
) -> None:
    settings.AMPLITUDE_EU_URL = httpserver.url_for("").rstrip("/")
    accepted = {"code": 200, "events_ingested": 0, "payload_size_bytes": 40}
    httpserver.expect_request("/batch").respond_with_json(accepted)
    as_tested = Integration.objects.get(pk=integration.pk)
    new = edited(integration)
    actions.record_setup_fault(integration=new, message="The key is wrong.", now=NOW, again=None)
    assert actions.test_integration(integration=as_tested, by=BY, now=NOW).ok
    integration.refresh_from_db()
    assert (integration.tested_at, integration.setup_fault) == (None, "The key is wrong.")
    assert actions.test_integration(integration=new, by=BY, now=NOW).ok
    integration.refresh_from_db()
    assert (integration.test_ok, integration.setup_fault) == (True, "")


def test_a_short_pause_does_not_end_a_long_one(integration: Integration) -> None:
    for minutes in (1, 5, 2):
        actions.pause(integration=integration, until=NOW + timedelta(minutes=minutes))
    integration.refresh_from_db()
    assert integration.paused_until == NOW + timedelta(minutes=5)


def test_what_was_disconnected_meanwhile_gets_no_key_again(integration: Integration) -> None:
    for _ in range(2):
        actions.disconnect(integration=integration, by=BY, now=NOW)
    with pytest.raises(Invalid, match="disconnected meanwhile"):
        edited(integration)
    assert Integration.objects.get(pk=integration.pk).secrets == {}
    assert AuditEntry.objects.filter(action="integration.disconnect").count() == 1


def test_lists_open_though_the_stored_keys_cannot_be_read(
    integration: Integration, client: Client, settings, django_user_model
) -> None:
    project: Project = integration.project
    user = django_user_model.objects.create_user("asha@example.com")
    MembershipFactory(project=project, user=user, role=Role.ADMIN)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    headers = {"Authorization": f"Bearer {token_for(project)}"}
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert client.get(f"/{project.account_id}/settings/partners/").status_code == 200
    assert client.get("/api/v1/integrations/", headers=headers).status_code == 200


@pytest.fixture
def lost(integration: Integration, settings: Any) -> Integration:
    """An integration whose key cannot be read any more."""
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    return Integration.objects.defer("secrets").get(pk=integration.pk)


def test_the_portal_itself_asks_nothing_with_a_key_that_cannot_be_read(lost: Integration) -> None:
    Integration.objects.filter(pk=lost.pk).update(setup_fault="The key is wrong.", probe_at=NOW)
    for due in actions.due_probes(now=NOW):
        tasks.probe(due)
    assert Integration.objects.filter(setup_fault="The key is wrong.").count() == 1


def test_a_saved_key_that_cannot_be_read_is_said_to_be_entered_anew(lost: Integration) -> None:
    report = actions.test_integration(integration=lost, by=BY, now=NOW)
    assert (report.ok, report.message) == (False, actions.UNREADABLE)
    lost.refresh_from_db(fields=["test_ok", "test_message"])
    assert (lost.test_ok, lost.test_message) == (False, actions.UNREADABLE)
    values = {**lost.settings, "api_key": ""}
    with pytest.raises(Invalid, match="Enter it anew"):
        actions.test_values(project=lost.project, partner="amplitude", values=values, by=BY, kept=lost)
    with pytest.raises(Invalid, match="Enter it anew"):
        actions.edit_integration(integration=lost, nickname="New", values=values, by=BY, now=NOW)
    assert edited(lost).secrets == {"api_key": API_KEY[::-1]}
