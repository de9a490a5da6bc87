"""Settings > Partners > Partner List and the panel Integrate Amplitude."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from pytest_httpserver import HTTPServer

from exports.detail import TABS
from exports_portal.common.models import AuditEntry
from partners.actions import UNREADABLE
from partners.models import Integration
from projects.models import Project
from tests.factories import API_KEY, ExportFactory, IntegrationFactory, RunFactory
from tests.pages.html import Form, Site, body, text

PANEL = {
    "nickname": "Growth analytics",
    "api_key": API_KEY,
    "data_residency": "europe",
    "device_id_mapping": "clevertap_id",
    "user_id_mapping": "identity",
}


@pytest.fixture
def partners(project: Project) -> str:
    return f"/{project.account_id}/settings/partners/"


@pytest.fixture
def amplitude(httpserver: HTTPServer, settings: Any) -> HTTPServer:
    """A local server in the place of both regions that accepts an empty list with this key."""
    settings.AMPLITUDE_EU_URL = settings.AMPLITUDE_STANDARD_URL = httpserver.url_for("").rstrip("/")
    httpserver.expect_request("/batch").respond_with_json({"code": 400, "error": "missing_event"}, status=400)
    return httpserver


def test_the_list_teaches_the_first_step(partners: str, site: Site) -> None:
    shown = site.text(partners)
    assert "Integrate Amplitude" in shown
    assert "Not integrated yet" in shown


def test_a_card_lists_integrations_with_their_exports(partners: str, site: Site, integration: Integration) -> None:
    ExportFactory(project=integration.project, integration=integration)
    ExportFactory(project=integration.project, integration=integration, stopped=True)
    shown = site.text(partners)
    assert "1 INTEGRATED" in shown
    assert "Growth analytics Europe · key ••••9f3c" in shown
    assert "2 exports, 1 active · not tested yet" in shown


def test_integrating_saves_and_says_so(partners: str, site: Site, project: Project) -> None:
    response = site.client.post(f"{partners}amplitude/new/", PANEL, follow=True)
    assert "Amplitude has been integrated as “Growth analytics”" in text(response)
    integration = project.integrations.get()
    assert integration.secrets == {"api_key": API_KEY}
    assert integration.settings["data_residency"] == "europe"
    assert API_KEY not in body(response)


def test_htmx_is_sent_to_the_list_when_it_is_saved(partners: str, site: Site) -> None:
    response = site.post(f"{partners}amplitude/new/", PANEL, htmx=True)
    assert response.headers["HX-Redirect"] == partners


def test_europe_is_the_default(partners: str, site: Site) -> None:
    shown = body(site.get(f"{partners}amplitude/new/"))
    assert 'value="europe" id="id_data_residency_0" checked' in shown.replace("  ", " ")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"nickname": " "}, "Enter a Partner Nickname."),
        ({"nickname": "growth ANALYTICS"}, "is taken in this project"),
        ({"api_key": ""}, "Enter the API key."),
        ({"api_key": "3f9c 1e07"}, "must not contain spaces"),
        ({"data_residency": "moon"}, "moon is not one of the available choices"),
    ],
)
def test_wrong_input_is_named_at_its_field_and_what_was_typed_stays(
    partners: str, site: Site, integration: Integration, changed: dict[str, str], message: str
) -> None:
    data = {**PANEL, "nickname": "Second", "user_id_mapping": "email", **changed}
    response = site.post(f"{partners}amplitude/new/", data)
    assert response.status_code == 422
    shown = body(response)
    name = next(iter(changed))
    assert f'id="id_{name}_error"' in shown
    assert message in text(response)
    assert '<option value="email" selected>' in shown
    assert API_KEY not in shown
    assert Integration.objects.count() == 1


def test_the_key_field_outlives_a_swap_without_being_sent_back(partners: str, site: Site) -> None:
    response = site.post(f"{partners}amplitude/new/", {**PANEL, "nickname": ""}, htmx=True)
    assert response.status_code == 422
    assert 'hx-preserve="true"' in body(response)
    assert API_KEY not in body(response)


def test_a_connection_is_tested_from_the_form_without_saving(partners: str, site: Site, amplitude: HTTPServer) -> None:
    response = site.post(f"{partners}amplitude/new/", {**PANEL, "nickname": "", "test": "yes"}, htmx=True)
    assert response.status_code == 200
    assert "Nothing was recorded" in text(response)
    assert '<ol class="steps">' in body(response)
    assert not Integration.objects.exists()


def test_what_was_tested_just_before_it_was_integrated_stands_on_its_card(
    partners: str, site: Site, project: Project, amplitude: HTTPServer
) -> None:
    amplitude.clear()
    amplitude.expect_request("/batch").respond_with_json({"code": 200, "events_ingested": 0, "payload_size_bytes": 40})
    url = f"{partners}amplitude/new/"
    (tested,) = Form(site.post(url, {**PANEL, "test": "yes"}, htmx=True), url).ticked("tested")
    assert API_KEY not in tested
    (still,) = Form(site.post(url, {**PANEL, "nickname": "", "tested": tested}, htmx=True), url).ticked("tested")
    site.post(url, {**PANEL, "tested": still})
    integration = project.integrations.get()
    assert (integration.test_ok, integration.tested_at is not None) == (True, True)
    assert "connection worked" in site.text(partners)


@pytest.mark.parametrize(
    "changed",
    [{"api_key": f"{API_KEY}0"}, {"data_residency": "standard"}, {"tested": "made:up:it"}],
)
def test_a_test_of_other_values_says_nothing_of_these(
    partners: str, site: Site, project: Project, amplitude: HTTPServer, changed: dict[str, str]
) -> None:
    url = f"{partners}amplitude/new/"
    (tested,) = Form(site.post(url, {**PANEL, "test": "yes"}, htmx=True), url).ticked("tested")
    site.post(url, {**PANEL, "tested": tested, **changed})
    assert project.integrations.get().tested_at is None
    assert "not tested yet" in site.text(partners)


def test_testing_without_a_key_asks_for_it(partners: str, site: Site) -> None:
    response = site.post(f"{partners}amplitude/new/", {**PANEL, "api_key": "", "test": "yes"})
    assert "Enter the API key." in text(response)


def test_testing_what_is_saved_is_noted_on_its_card(
    partners: str, site: Site, integration: Integration, amplitude: HTTPServer
) -> None:
    url = f"{partners}integrations/{integration.pk}/edit/"
    site.post(url, {"nickname": "Growth analytics", **integration.settings, "api_key": "", "test": "yes"})
    integration.refresh_from_db()
    assert integration.tested_at is not None


def test_testing_a_changed_residency_uses_the_saved_key(
    partners: str, site: Site, integration: Integration, amplitude: HTTPServer
) -> None:
    url = f"{partners}integrations/{integration.pk}/edit/"
    data = {"nickname": "", **integration.settings, "data_residency": "standard", "api_key": "", "test": "yes"}
    assert site.post(url, data).status_code == 200
    assert API_KEY in amplitude.log[0][0].get_data(as_text=True)
    integration.refresh_from_db()
    assert integration.tested_at is None


def test_a_key_left_empty_stays(partners: str, site: Site, integration: Integration) -> None:
    url = f"{partners}integrations/{integration.pk}/edit/"
    assert "••••9f3c" in body(site.get(url))
    response = site.client.post(url, {**integration.settings, "nickname": "Renamed", "api_key": ""}, follow=True)
    assert "“Renamed” has been updated" in text(response)
    integration.refresh_from_db()
    assert integration.nickname == "Renamed"
    assert integration.secrets == {"api_key": API_KEY}


def test_disconnecting_asks_first(partners: str, site: Site, integration: Integration) -> None:
    url = f"{partners}integrations/{integration.pk}/disconnect/"
    assert "Disconnect “Growth analytics”?" in site.text(url)
    response = site.client.post(url, follow=True)
    assert "“Growth analytics” has been disconnected" in text(response)
    integration.refresh_from_db()
    assert integration.disconnected_at is not None
    assert AuditEntry.objects.filter(action="integration.disconnect").exists()


def test_disconnecting_is_refused_while_exports_are_active(partners: str, site: Site, integration: Integration) -> None:
    ExportFactory(project=integration.project, integration=integration)
    response = site.post(f"{partners}integrations/{integration.pk}/disconnect/", htmx=True)
    assert response.status_code == 422
    assert "1 active export uses “Growth analytics”. Stop them first" in text(response)


def test_an_integration_in_use_offers_no_button_to_disconnect(
    partners: str, site: Site, integration: Integration
) -> None:
    ExportFactory(project=integration.project, integration=integration)
    asked = site.get(f"{partners}integrations/{integration.pk}/disconnect/")
    assert "1 active export uses “Growth analytics”. Stop them first" in text(asked)
    assert "Disconnect</button>" not in body(asked)


def test_who_has_integrated_is_led_on_to_an_export(partners: str, site: Site, amplitude: HTTPServer) -> None:
    response = site.client.post(f"{partners}amplitude/new/", {**PANEL, "nickname": "<b>{x}</b>"}, follow=True)
    said = "Amplitude has been integrated as “&lt;b&gt;{x}&lt;/b&gt;” "
    assert f'{said}<a href="{partners}exports/new/amplitude/">Create export</a>' in body(response)


def test_an_unknown_partner_is_404(partners: str, site: Site) -> None:
    assert site.get(f"{partners}mixpanel/new/").status_code == 404


def test_the_list_asks_the_same_few_questions_however_many_there_are(
    partners: str, site: Site, project: Project, django_assert_num_queries: Any
) -> None:
    IntegrationFactory.create_batch(5, project=project)
    with django_assert_num_queries(8):
        site.get(partners)


def test_partners_are_found_by_category(site: Site, project: Project) -> None:
    partners = f"/{project.account_id}/settings/partners/"
    assert '<a class="chip" href="?search=Analytics">Analytics</a>' in body(site.get(partners))
    found = site.get(partners, {"search": "Analytics"})
    assert 'aria-current="true">Analytics</a>' in body(found)
    assert "Integrate Amplitude" in text(found)
    assert "No partner matches" in site.text(partners, {"search": "Attribution"})


def test_pages_open_though_the_saved_key_cannot_be_read_and_take_another_one(
    partners: str, site: Site, integration: Integration, settings: Any
) -> None:
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    integration = Integration.objects.defer("secrets").get()
    stopped = ExportFactory(project=integration.project, integration=integration, recurring=True, stopped=True)
    ExportFactory(project=integration.project, integration=integration, recurring=True, continues=stopped)
    RunFactory(export=stopped, done=True)
    for tab in TABS:
        assert "Continued from where it stopped" in site.text(f"{partners}exports/{stopped.pk}/?tab={tab}")
    url = f"{partners}integrations/{integration.pk}/"
    assert site.get(f"{url}disconnect/").status_code == site.get(f"{url}edit/").status_code == 200
    panel = {"nickname": "Growth", **integration.settings, "api_key": ""}
    assert UNREADABLE in text(site.post(f"{url}edit/", {**panel, "test": "yes"}))
    assert UNREADABLE in text(site.post(f"{url}edit/", {**panel, "data_residency": "standard", "test": "yes"}))
    assert UNREADABLE in text(site.post(f"{url}edit/", panel))
    site.post(f"{url}edit/", {**panel, "api_key": API_KEY})
    assert Integration.objects.get().secrets == {"api_key": API_KEY}
