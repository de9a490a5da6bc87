"""The panel Export to Amplitude, Update export, and Stop export?"""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.template.loader import render_to_string
from django.utils.html import escape

from events.catalogue import ENGAGEMENT_EVENTS
from events.models import LogBase
from exports import actions
from exports.hints import ENGAGEMENT_HINTS
from exports.models import Export
from exports.pace import Pace, pace_of
from exports.panel import Sent
from exports.preview import Preview
from exports.spec import ExportSpec
from exports_portal.common.audit import PORTAL
from exports_portal.common.models import AuditEntry
from partners.registry import adapter_for
from projects.models import Project
from tests.factories import EventFactory, EventNameFactory, ExportFactory, IntegrationFactory, PersonFactory, RunFactory
from tests.pages.html import Form, Site, body, text
from tests.pages.scene import PANEL


@pytest.fixture
def exports(project: Project) -> str:
    return f"/{project.account_id}/settings/partners/exports/"


@pytest.fixture
def panel(integration: Any) -> dict[str, Any]:
    return {**PANEL, "integration": integration.pk, "export": "yes"}


def local_today(project: Project) -> date:
    return datetime.now(project.tz).date()


@pytest.mark.django_db(transaction=True)
def test_exporting_closes_the_panel_with_the_message(
    exports: str, site: Site, panel: dict[str, Any], project: Project
) -> None:
    response = site.client.post(f"{exports}new/amplitude/", panel, follow=True)
    assert response.request["PATH_INFO"] == exports
    assert "Amplitude data export initiated" in text(response)
    export = project.exports.get()
    assert f'<a href="{exports}{export.pk}/">View export</a>' in body(response)
    assert export.status == "PENDING"
    today = local_today(project)
    assert (export.date_from, export.date_to) == (today - timedelta(days=6), today)


@pytest.mark.parametrize("key_is_lost", [False, True])
@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_twice_makes_one_export(
    exports: str, site: Site, panel: dict[str, Any], project: Project, settings: Any, key_is_lost: bool
) -> None:
    if key_is_lost:
        settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    form = Form(site.get(f"{exports}new/amplitude/"), "new/amplitude/")
    given = {**panel, "submission": dict(form.fields)["submission"]}
    shown = [text(site.client.post(f"{exports}new/amplitude/", given, follow=True)) for _ in range(2)]
    assert all("Amplitude data export initiated View export" in page for page in shown)
    first = project.exports.get()
    assert AuditEntry.objects.filter(action="export.create").count() == 1
    site.post(f"{exports}new/amplitude/", {**given, "name": "Changed after Back"})
    assert project.exports.exclude(pk=first.pk).get().name == "Changed after Back"
    refused = site.post(f"{exports}new/amplitude/", {**panel, "submission": "nonsense"})
    assert "Enter a valid UUID." in text(refused)


@pytest.mark.django_db(transaction=True)
def test_two_forms_that_arrive_at_once_make_one_export(project: Project, integration: Any) -> None:
    spec, form = ExportSpec(integration.pk, "live"), uuid4()

    def create(_: int) -> int:
        export = actions.create_export(project=project, spec=spec, by=PORTAL, now=datetime.now(UTC), submission=form)
        connection.close()
        return export.pk

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(create, range(4)))) == 1
    assert project.exports.count() == 1


def test_engagement_events_are_described_in_the_words_of_the_seed(exports: str, site: Site, integration: Any) -> None:
    shown = site.text(f"{exports}new/amplitude/")
    assert list(ENGAGEMENT_HINTS) == list(ENGAGEMENT_EVENTS)
    for name, description in (
        ("Notification Sent", "The event is tracked when the notification is successfully sent from CleverTap to the"),
        ("UTM Visited", "This event is tracked when a user clicks on a link from a marketing campaign that has a UTM"),
    ):
        assert f"{name} {description}" in shown


@pytest.mark.django_db(transaction=True)
def test_duplicate_opens_the_panel_filled_in_and_sends_nothing(
    exports: str, site: Site, project: Project, integration: Any
) -> None:
    IntegrationFactory(project=project, nickname="Another")
    EventNameFactory(project=project, name="Charged")
    long_ago = local_today(project) - timedelta(days=80)
    given = {
        "name": "October", "events": "selected", "selected_events": ["Charged"], "excluded_properties": ["Email"],
        "identifier_priority": ["email", "identity"], "hyphenate_names": True,
    }  # fmt: skip
    old = ExportFactory(
        project=project, integration=integration, stopped=True, date_from=long_ago,
        date_to=long_ago + timedelta(days=40), **given,
    )  # fmt: skip
    url = f"{exports}{old.pk}/duplicate/"
    assert f'href="{url}"' in body(site.get(f"{exports}{old.pk}/"))
    response = site.get(url)
    assert "Duplicate of “October”" in text(response)
    assert project.exports.count() == 1
    answer = site.client.post(url, filled_in(response), follow=True)
    assert answer.request["PATH_INFO"] == exports
    new = project.exports.exclude(pk=old.pk).get()
    oldest = local_today(project) - timedelta(days=60)
    assert (new.integration_id, new.name, new.date_from) == (integration.pk, "October (copy)", oldest)
    assert (new.date_to, new.frequency) == (old.date_to, "one_time")
    assert {name: getattr(new, name) for name in given} == {**given, "name": "October (copy)"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("trait", ["recurring", "live"])
def test_a_duplicate_can_be_sent_twice_and_makes_one_export(
    exports: str, site: Site, project: Project, integration: Any, trait: str
) -> None:
    old = ExportFactory(project=project, integration=integration, **{trait: True})
    url = f"{exports}{old.pk}/duplicate/"
    form = filled_in(site.get(url))
    for _ in range(2):
        assert "Amplitude data export initiated" in text(site.client.post(url, form, follow=True))
    copy = project.exports.exclude(pk=old.pk).get()
    assert copy.name == "Growth analytics (copy)"
    assert (copy.frequency, copy.type, copy.every_hours) == (old.frequency, old.type, old.every_hours)
    assert "Growth analytics (copy 2)" in body(site.get(f"{exports}{copy.pk}/duplicate/"))


def test_a_duplicate_for_a_disconnected_integration_asks_where_to_go(
    exports: str, site: Site, project: Project, integration: Any
) -> None:
    old = ExportFactory(project=project, integration=integration, stopped=True)
    IntegrationFactory(project=project, nickname="Another")
    url = f"{exports}{old.pk}/duplicate/"
    warning = "The integration of the original has been disconnected. Choose where this export goes."
    assert warning not in site.text(url)
    type(integration).objects.filter(pk=integration.pk).update(disconnected_at=datetime.now(UTC))
    assert warning in site.text(url)


def filled_in(response: Any) -> dict[str, Any]:
    """What a browser would send from the panel as it stands."""
    shown = response.context["form"]
    sent = shown.as_if_sent().data
    return {**{name: value for name, value in sent.items() if value is not None}, "export": "yes"}


@pytest.mark.django_db(transaction=True)
def test_htmx_is_sent_to_the_list(exports: str, site: Site, panel: dict[str, Any]) -> None:
    response = site.post(f"{exports}new/amplitude/", panel, htmx=True)
    assert response.headers["HX-Redirect"] == exports


@pytest.mark.django_db(transaction=True)
def test_a_recurring_export_takes_its_own_fields_and_leaves_the_others(
    exports: str, site: Site, panel: dict[str, Any], project: Project
) -> None:
    EventNameFactory(project=project, name="Charged")
    given = {
        "frequency": "recurring", "every_hours": "8", "start_date": local_today(project).isoformat(),
        "events": "selected", "selected_events": ["Charged"], "excluded_properties": "Phone\n Email \n",
        "hyphenate_names": "on", "identifier_priority_1": "", "name": "Growth",
    }  # fmt: skip
    site.post(f"{exports}new/amplitude/", {**panel, **given})
    export = project.exports.get()
    assert (export.frequency, export.every_hours, export.date_from) == ("recurring", 8, None)
    assert export.selected_events == ["Charged"]
    assert export.excluded_properties == ["Phone", "Email"]
    assert export.identifier_priority == ["identity", "phone"]
    assert export.hyphenate_names
    assert export.name == "Growth"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "custom"}, "Choose a date."),
        ({"preset": "custom", "date_from": "2020-01-01", "date_to": "2020-01-02"}, "more than 60 days back"),
        ({"preset": "custom", "date_from": "2999-01-01", "date_to": "2999-01-02"}, "lies in the future"),
        ({"preset": "custom", "date_from": "nonsense"}, "Enter a valid date."),
        ({"events": "selected"}, "Select at least one event."),
        ({"events": "selected", "selected_events": ["Unheard Of"]}, "Unheard Of is not one of the available choices"),
        ({"integration": ""}, "Choose one of this project's integrations."),
        ({"frequency": "hourly"}, "hourly is not one of the available choices"),
        ({"frequency": "recurring"}, "Choose a date."),
        ({"identifier_priority_1": "identity"}, "Use each of these at most once"),
        ({"name": "x" * 201}, "200 is the most"),
    ],
)
def test_wrong_input_is_named_and_what_was_typed_stays(
    exports: str, site: Site, panel: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    response = site.post(f"{exports}new/amplitude/", {**panel, "name": "My own name", **given}, htmx=True)
    assert response.status_code == 422
    assert message in text(response)
    assert "My own name" in body(response) or "name" in given
    assert not Export.objects.exists()


def test_the_end_before_the_start_is_named_at_the_end(
    exports: str, site: Site, panel: dict[str, Any], project: Project
) -> None:
    today = local_today(project)
    given = {"preset": "custom", "date_from": today, "date_to": today - timedelta(days=1)}
    response = site.post(f"{exports}new/amplitude/", {**panel, **given})
    assert 'id="id_date_to_error"' in body(response)
    assert "The last day lies before the first" in text(response)


def test_without_an_integration_the_panel_leads_to_one(exports: str, site: Site) -> None:
    shown = site.text(f"{exports}new/amplitude/")
    assert "No integration yet. Integrate Amplitude first" in shown


def test_only_this_projects_integrations_are_offered(exports: str, site: Site, panel: dict[str, Any]) -> None:
    foreign = IntegrationFactory(nickname="Foreign")
    assert "Foreign" not in body(site.get(f"{exports}new/amplitude/"))
    response = site.post(f"{exports}new/amplitude/", {**panel, "integration": foreign.pk})
    assert response.status_code == 422
    assert not Export.objects.exists()


def test_only_what_works_is_offered(exports: str, site: Site, integration: Any) -> None:
    shown = site.text(f"{exports}new/amplitude/")
    for words in ("All events", "Selected events", "Engagement events", "One time", "Recurring", "Geocluster Entered"):
        assert words in shown
    assert "Live Data Streaming" in shown
    assert "Events What people did User profiles Who they are" in shown


def test_what_will_be_sent_is_shown_exactly(exports: str, site: Site, panel: dict[str, Any], project: Project) -> None:
    name = EventNameFactory(project=project, name="Charged", count=1)
    EventFactory(project=project, name=name, received_at=datetime.now(UTC) - timedelta(hours=1))
    assert LogBase.objects.exists()
    del panel["export"]
    shown = text(site.post(f"{exports}new/amplitude/", panel, htmx=True))
    assert shown.startswith("What will be sent About 1 record.")
    assert "Sending takes under a minute at 2,000 records a second." in shown
    assert '"event_type": "Charged"' in shown
    whole = text(site.post(f"{exports}new/amplitude/", panel))
    assert shown in whole
    assert not Export.objects.exists()


@pytest.mark.parametrize(
    ("frequency", "sentence"),
    [
        ("one_time", "Sending takes under a minute at the speed of the last runs."),
        ("recurring", "Each run takes under a minute at the speed of the last runs."),
        ("live", ""),
    ],
)
def test_how_long_it_takes_is_reckoned_from_the_last_runs(
    exports: str, site: Site, panel: dict[str, Any], project: Project, integration: Any, frequency: str, sentence: str
) -> None:
    EventFactory(project=project, received_at=datetime.now(UTC) - timedelta(hours=1))
    RunFactory(export__project=project, export__integration=integration, done=True, counts={"delivered": 60_000})
    given = {**panel, "frequency": frequency, "start_date": local_today(project).isoformat()}
    del given["export"]
    shown = text(site.post(f"{exports}new/amplitude/", given, htmx=True))
    assert sentence in shown
    assert ("takes" in shown) == bool(sentence)


@pytest.mark.parametrize("frequency", ["recurring", "live"])
def test_what_has_no_days_speaks_of_the_last_24_hours(
    exports: str, site: Site, panel: dict[str, Any], project: Project, frequency: str
) -> None:
    given = {**panel, "frequency": frequency, "start_date": local_today(project).isoformat(), "preview": "yes"}
    shown = text(site.post(f"{exports}new/amplitude/", given, htmx=True))
    assert "No record of the last 24 hours matches; new ones will be sent as they come." in shown


def test_a_pace_is_the_median_of_runs_that_were_large_enough(integration: Any) -> None:
    assert pace_of(integration.pk) == Pace(2_000.0, is_measured=False)
    export = ExportFactory(project=integration.project, integration=integration)
    for count in (999, 60_000, 120_000, 6_000_000):  # a minute each
        RunFactory(export=export, done=True, counts={"delivered": count})
    pace = pace_of(integration.pk)
    assert pace == Pace(2_000.0, is_measured=True)
    assert pace.sentence(3_240_000, what="Sending") == "Sending takes about 27 min at the speed of the last runs."


@pytest.mark.parametrize(
    ("estimate", "per_day", "hinted"), [(999_999, False, False), (10**6, False, True), (10**6, True, False)]
)
def test_a_large_backfill_comes_with_a_hint_on_the_event_volume(estimate: int, per_day: bool, hinted: bool) -> None:
    sent = Sent(Preview(estimate=estimate), per_day=per_day)
    shown = render_to_string("exports/sent.html", {"sent": sent, "adapter": adapter_for("amplitude")})
    assert ("count against your Amplitude event volume" in shown) == hinted


def test_records_that_would_not_be_sent_say_why_in_the_preview(
    exports: str, site: Site, panel: dict[str, Any], project: Project, integration: Any
) -> None:
    person = PersonFactory(project=project, identity="abc")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    EventFactory(project=project, person=person, received_at=hour_ago)
    EventFactory(project=project, person=person, received_at=hour_ago, identity=None)
    type(integration).objects.update(settings={**integration.settings, "device_id_mapping": "none"})
    del panel["export"]
    shown = text(site.post(f"{exports}new/amplitude/", panel, htmx=True))
    assert "REJECTED" in shown
    assert "Amplitude asks for at least 5" in shown
    assert "SKIPPED" in shown
    assert "no identifier that can be sent" in shown


def test_records_that_would_not_be_sent_are_found_behind_ten_others(
    exports: str, site: Site, panel: dict[str, Any], project: Project, integration: Any
) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    identities = ["customer-1"] * 12 + ["abc", "xyz", "abc"] + [None] * 2
    for place, identity in enumerate(identities):
        moment = hour_ago + timedelta(seconds=place)
        EventFactory(project=project, received_at=moment, occurred_at=moment, identity=identity)
    type(integration).objects.update(settings={**integration.settings, "device_id_mapping": "none"})
    del panel["export"]
    shown = text(site.post(f"{exports}new/amplitude/", panel, htmx=True))
    assert "Of the first 17 records, 12 would be sent, 3 rejected, 2 skipped." in shown
    assert [shown.count(f"WOULD BE {verdict}") for verdict in ("SENT", "REJECTED", "SKIPPED")] == [10, 1, 1]
    assert "and 2 more for this reason" in shown
    export = ExportFactory(project=project, integration=integration, recurring=True, running=True)
    integration.refresh_from_db()
    payload = site.text(f"{exports}{export.pk}/", {"tab": "payload"})
    assert "12 would be sent, 3 rejected, 2 skipped." in payload


@pytest.mark.django_db(transaction=True)
def test_an_export_of_profiles_leaves_out_events_and_days(
    exports: str, site: Site, panel: dict[str, Any], project: Project
) -> None:
    given = {"type": "user_profiles", "events": "selected", "selected_events": [], "preset": "custom"}
    response = site.client.post(f"{exports}new/amplitude/", {**panel, **given}, follow=True)
    assert "Amplitude data export initiated" in text(response)
    assert "User profiles JSON One time all people PENDING" in text(response)
    export = project.exports.get()
    assert (export.type, export.events, export.date_from) == ("user_profiles", "all", None)


def test_which_people_will_be_sent_is_shown(exports: str, site: Site, panel: dict[str, Any], project: Project) -> None:
    del panel["export"]
    profiles = {**panel, "type": "user_profiles"}
    url = f"{exports}new/amplitude/"
    assert "There are no people yet." in text(site.post(url, profiles, htmx=True))
    live = {**profiles, "frequency": "live"}
    assert "No profile has changed in the last 24 hours" in text(site.post(url, live, htmx=True))
    PersonFactory(project=project, name="Asha Rao", properties={"City": "Pune"})
    shown = text(site.post(url, profiles, htmx=True))
    assert shown.startswith("What will be sent About 1 person. Sending takes under a minute")
    assert '"City": "Pune"' in shown
    assert shown in text(site.post(url, profiles))


def test_the_type_of_an_export_is_not_up_for_change(exports: str, site: Site, project: Project, panel: Any) -> None:
    export = ExportFactory(project=project, integration_id=panel["integration"], recurring=True, type="user_profiles")
    url = f"{exports}{export.pk}/edit/"
    shown = site.text(url)
    assert "User profiles Who they are" in shown
    assert "Events What people did" not in shown
    given = {
        **panel, "frequency": "recurring", "every_hours": export.every_hours, "start_date": export.start_date,
        "version": export.version,
    }  # fmt: skip
    response = site.post(url, {**given, "type": "events"})
    assert response.status_code == 422
    assert "events is not one of the available choices" in text(response)
    assert "Amplitude data export updated" in text(site.client.post(url, given, follow=True))
    export.refresh_from_db()
    assert (export.type, export.version) == ("user_profiles", 2)


def test_a_preview_says_what_is_missing(exports: str, site: Site, panel: dict[str, Any]) -> None:
    del panel["export"]
    response = site.post(f"{exports}new/amplitude/", {**panel, "events": "selected"}, htmx=True)
    assert response.status_code == 200
    assert "Select at least one event." in text(response)


def test_updating_an_export(exports: str, site: Site, project: Project, panel: dict[str, Any]) -> None:
    export = ExportFactory(project=project, integration_id=panel["integration"], recurring=True)
    url = f"{exports}{export.pk}/edit/"
    shown = site.text(url)
    assert "Points to Remember" in shown
    assert "Update export" in shown
    page = body(site.get(url))
    assert '<span data-when="recurring">Applies from the next run.</span>' in page
    assert '<span data-when="live">Applies from the next batch, within seconds.</span>' in page
    given = {
        **panel, "frequency": "recurring", "every_hours": export.every_hours, "start_date": export.start_date,
        "events": "engagement", "version": export.version,
    }  # fmt: skip
    shown = text(site.client.post(url, given, follow=True))
    assert "Amplitude data export updated. Applies from the next run. View export" in shown
    export.refresh_from_db()
    assert export.events == "engagement"
    stale = site.post(url, given)
    assert stale.status_code == 422
    assert "asha.rao@example.com changed this export a few seconds ago while you were editing it." in text(stale)
    assert f'<a href="{url}">Reload it</a>' in body(stale)


def test_a_changed_schedule_is_proposed_from_today_and_an_unchanged_one_stays(
    exports: str, site: Site, project: Project, panel: dict[str, Any]
) -> None:
    today = local_today(project)
    start = today - timedelta(days=100)
    export = ExportFactory(
        project=project, integration_id=panel["integration"], recurring=True, every_hours=12, start_date=start
    )
    url = f"{exports}{export.pk}/edit/"
    assert f'name="start_date" value="{today}"' in body(site.get(url))
    assert "What will be sent About 0 records a day" in site.text(url)
    given = {**panel, "frequency": "recurring", "every_hours": "12", "start_date": today.isoformat()}
    for hours, begins in (("12", start), ("8", today)):
        response = site.client.post(url, {**given, "every_hours": hours}, follow=True)
        assert "Amplitude data export updated" in text(response)
        export.refresh_from_db()
        assert (export.every_hours, export.start_date) == (int(hours), begins)


def test_the_number_of_chosen_events_stands_on_their_card(
    exports: str, site: Site, project: Project, panel: dict[str, Any]
) -> None:
    for name in ("Charged", "Searched"):
        EventNameFactory(project=project, name=name)
    url = f"{exports}new/amplitude/"
    assert "Selected events you choose" in site.text(url)
    chosen = {**panel, "events": "selected", "selected_events": ["Charged", "Searched"], "frequency": "hourly"}
    assert "Selected events 2 chosen" in text(site.post(url, chosen))


def test_what_a_restored_dump_refuses_is_said_in_the_panel(exports: str, site: Site, panel: dict[str, Any]) -> None:
    LogBase.objects.update(system_identifier=7)
    response = site.post(f"{exports}new/amplitude/", {**panel, "frequency": "live"})
    assert response.status_code == 422
    assert "Run: manage.py rebase_positions" in text(response)
    assert not Export.objects.exists()


def test_the_events_that_are_chosen_are_ticked_in_an_edit(
    exports: str, site: Site, project: Project, integration: Any
) -> None:
    for name in ("Charged", "Searched"):
        EventNameFactory(project=project, name=name)
    export = ExportFactory(
        project=project, integration=integration, live=True, events="selected", selected_events=["Charged"]
    )
    form = Form(site.get(f"{exports}{export.pk}/edit/"), "/edit/")
    assert form.ticked("selected_events") == ["Charged"]
    assert "1 chosen" in site.text(f"{exports}{export.pk}/edit/")


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        ({}, "You cannot edit a One time export."),
        ({"recurring": True, "stopped": True}, "You cannot modify exports marked as STOPPED."),
    ],
)
def test_what_cannot_be_edited_says_why(
    exports: str, site: Site, project: Project, integration: Any, traits: dict[str, Any], message: str
) -> None:
    export = ExportFactory(project=project, integration=integration, **traits)
    response = site.client.get(f"{exports}{export.pk}/edit/", follow=True)
    assert message in text(response)


@pytest.mark.django_db(transaction=True)
def test_stopping_asks_and_then_stops(exports: str, site: Site, project: Project, integration: Any) -> None:
    export = ExportFactory(project=project, integration=integration)
    url = f"{exports}{export.pk}/stop/"
    assert "Stop export?" in site.text(url)
    export.refresh_from_db()
    assert export.status == "PENDING"
    response = site.client.post(url, follow=True)
    assert response.request["PATH_INFO"] == exports
    assert "Amplitude data export stopped View export" in text(response)
    assert f'<a href="{exports}{export.pk}/">View export</a>' in body(response)
    assert "STOPPED" in text(response)
    assert AuditEntry.objects.filter(action="export.stop", actor="asha.rao@example.com").exists()


def test_stopping_what_is_done_is_refused(exports: str, site: Site, project: Project, integration: Any) -> None:
    export = ExportFactory(project=project, integration=integration, done=True)
    response = site.post(f"{exports}{export.pk}/stop/", htmx=True)
    assert response.status_code == 422
    assert "everything has been sent" in text(response)


@pytest.mark.parametrize("traits", [{"done": True}, {"recurring": True, "stopped": True}])
def test_what_is_over_is_not_asked_to_stop(
    exports: str, site: Site, project: Project, integration: Any, traits: dict[str, Any]
) -> None:
    export = ExportFactory(project=project, integration=integration, **traits)
    response = site.client.get(f"{exports}{export.pk}/stop/", follow=True)
    assert f"This export is {export.status} already: there is nothing to stop." in text(response)
    assert "stops at once" not in text(response)
    RunFactory(export=export, done=True, counts={"rejected": 1}).shards.update(resend_at=datetime.now(UTC))
    shown = site.text(f"{exports}{export.pk}/stop/")
    assert "wait to be sent again. They will not be, and stay listed." in shown
    assert "stops at once" not in shown


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("came_from", ["?status=RUNNING&status=PENDING&page=2", "{pk}/?tab=settings"])
def test_stop_and_edit_lead_back_to_where_they_were_opened(
    exports: str, site: Site, project: Project, panel: dict[str, Any], came_from: str
) -> None:
    export = ExportFactory(project=project, integration_id=panel["integration"], recurring=True)
    back = exports + came_from.format(pk=export.pk)
    given = {
        **panel, "frequency": "recurring", "every_hours": export.every_hours, "start_date": export.start_date,
    }  # fmt: skip
    for name, fields in (("edit", given), ("stop", {})):
        url = f"{exports}{export.pk}/{name}/"
        opened = site.client.get(url, headers={"Referer": f"http://testserver{back}"})
        assert f'data-close="{escape(back)}"' in body(opened)
        (carried,) = Form(opened, url).ticked("next")
        response = site.post(url, {**fields, "next": carried}, htmx=True)
        assert response.headers["HX-Redirect"] == back


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/x", "/admin/", "http://["])
def test_panels_lead_back_to_no_other_place(exports: str, site: Site, project: Project, elsewhere: str) -> None:
    export = ExportFactory(project=project, recurring=True)
    assert f'data-close="{exports}"' in body(
        site.client.get(f"{exports}{export.pk}/stop/", headers={"Referer": elsewhere})
    )
    response = site.post(f"{exports}{export.pk}/stop/", {"next": elsewhere}, htmx=True)
    assert response.headers["HX-Redirect"] == exports
