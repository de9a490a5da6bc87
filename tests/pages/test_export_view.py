"""The View page of one export."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from exports import lifecycle, schedule
from exports.models import PurgedRuns
from exports_portal.common import audit
from exports_portal.common.audit import PORTAL, Actor
from partners import actions as partner_actions
from projects.models import Project
from tests.factories import (
    PASSWORD,
    EventFactory,
    ExportFactory,
    IntegrationFactory,
    MembershipFactory,
    RejectedFactory,
    RunFactory,
    SkippedFactory,
    UserFactory,
)
from tests.pages.html import Form, Site, body, element, text


@pytest.fixture
def export(project: Project, integration: Any) -> Any:
    return ExportFactory(
        project=project, integration=integration, recurring=True, running=True, every_hours=12,
        start_date=date(2026, 10, 1),
    )  # fmt: skip


@pytest.fixture
def url(project: Project, export: Any) -> str:
    return f"/{project.account_id}/settings/partners/exports/{export.pk}/"


def test_figures_speak_of_the_run_and_of_all_runs(url: str, site: Site, export: Any) -> None:
    RunFactory(export=export, done=True, counts={"delivered": 1000})
    RunFactory(
        export=export, running=True, estimate=4000,
        counts={"delivered": 1960, "rejected": 12, "held": 20, "skipped": 8, "in_flight": 2000},
    )  # fmt: skip
    shown = site.text(url)
    assert "Growth analytics RUNNING Amplitude · Europe · Events, All events · every 12 hours from 1 Oct 2026" in shown
    assert "Read in this run 2,000 3,000 over all runs" in shown
    assert "Accepted by Amplitude 1,960 2,000 on their way" in shown
    assert "12 · 20 · 8 ✓ everything accounted for" in shown
    assert "Delivered per run" in shown


def test_an_export_without_runs_opens(url: str, site: Site) -> None:
    shown = site.text(url)
    assert "No runs yet" in shown
    assert "Nothing has been delivered yet." in shown


def test_runs_tell_what_happened_in_words(url: str, site: Site, export: Any) -> None:
    RunFactory(export=export, done=True, counts={"delivered": 5, "takeovers": 1})
    assert "2 worker lost once, resumed" in site.text(url)


def test_what_the_retention_policy_took_is_told(url: str, site: Site, project: Project, export: Any) -> None:
    run = RunFactory(export=export, done=True, counts={"rejected": 3})
    RejectedFactory(run=run)
    assert "any more" not in site.text(url) + site.text(url, {"tab": "rejected"})
    run.shards.update(rejected_purged=2)
    PurgedRuns.objects.create(export=export, runs=40, read=9, delivered=5, rejected=4)
    type(project).objects.update(keep_runs_days=90, keep_rejected_days=30)
    kept = "40 earlier runs are not listed any more: the project keeps runs for 90 days after the end of their run."
    assert kept in site.text(url)
    shown = site.text(url, {"tab": "rejected"})
    assert "6 rejected records are not listed any more: the project keeps rejected records for 30 days" in shown
    type(project).objects.update(keep_runs_days=None)
    assert "the project kept runs for a limited time" in site.text(url)


def test_rejected_records_tell_why_and_what_to_do(url: str, site: Site, export: Any) -> None:
    RejectedFactory(run=RunFactory(export=export, done=True, counts={"rejected": 1}))
    shown = site.text(url, {"tab": "rejected"})
    assert "The user_id has fewer than 5 characters." in shown
    assert "Send a longer identity." in shown
    assert "All Identifier too short 1" in shown
    assert "id_too_short" not in shown
    RejectedFactory(run=export.runs.get(), reason="never_heard_of", payload="not JSON")
    response = site.get(url, {"tab": "rejected"})
    assert "Never heard of 1" in text(response)
    assert '<pre class="code" tabindex="0">not JSON</pre>' in body(response)
    assert escape('{\n  "event_type": "Searched",\n  "user_id": "abc"\n}') in body(response)


def test_skipped_records_tell_why_which_and_whose(url: str, site: Site, project: Project, export: Any) -> None:
    run = RunFactory(export=export, done=True, counts={"skipped": 3})
    run.shards.update(skip_reasons={"no_identifier": 3})
    event = EventFactory(project=project, occurred_at=datetime(2026, 10, 2, 6, 30, tzinfo=UTC))
    SkippedFactory(run=run, record_id=event.pk)
    SkippedFactory(run=run, record_id=event.pk + 1)
    response = site.get(url, {"tab": "skipped"})
    shown = text(response)
    assert "Skipped records · 3" in shown
    assert "3 The record has no identifier that can be sent." in shown
    assert f"{event.name.name} 2 Oct 2026, 12:00 {event.identity} 1" in shown
    assert f"/profiles/{event.person_id}/" in body(response)
    assert "no longer in the log" in shown


def test_the_list_of_skipped_records_asks_the_log_once(
    url: str, site: Site, project: Project, export: Any, django_assert_max_num_queries: Any
) -> None:
    run = RunFactory(export=export, done=True, counts={"skipped": 20})
    for _ in range(20):
        SkippedFactory(run=run, record_id=EventFactory(project=project).pk)
    with django_assert_max_num_queries(22):
        shown = text(site.get(url, {"tab": "skipped"}))
    assert "20 The record has no identifier that can be sent." in shown


def test_unconfirmed_records_are_explained_with_what_resolves_them(url: str, site: Site, export: Any) -> None:
    RunFactory(export=export, running=True, counts={"delivered": 10, "unconfirmed": 7})
    shown = site.text(url)
    assert "7 unconfirmed" in shown
    assert "Amplitude may have taken these records, but its answer was lost. They are sent again" in shown
    type(export).objects.update(status="STOPPED")
    assert "Continue from where it stopped sends them again under the same ids" in site.text(url)


def test_of_one_record_or_run_is_spoken_in_the_singular(url: str, site: Site, export: Any) -> None:
    run = RunFactory(export=export, running=True, counts={"unconfirmed": 1, "rejected": 1})
    run.shards.update(rejected_purged=1)
    PurgedRuns.objects.create(export=export, runs=1, read=2, delivered=2)
    shown = site.text(url)
    assert "may have taken this record, but its answer was lost. It is sent again under the same ids, so" in shown
    assert "counts it once" in shown
    assert "The figures over all runs count it still." in shown
    assert "It stays counted and cannot be sent again." in site.text(url, {"tab": "rejected"})
    type(export).objects.update(status="STOPPED")
    assert "before it could be sent again. Continue from where it stopped sends it again" in site.text(url)


def test_records_that_were_sent_again_without_an_answer_stay_unconfirmed_after_a_stop(
    url: str, site: Site, export: Any
) -> None:
    run = RunFactory(export=export, done=True, counts={"delivered": 10, "rejected": 7, "unconfirmed_again": 7})
    type(export).objects.update(status="STOPPED")
    assert "Continue from where it stopped sends them again under the same ids" in site.text(url)
    run.shards.update(resend_at=datetime(2026, 10, 2, tzinfo=UTC))
    assert "They are sent again under the same ids" in site.text(url)
    assert "Do not send them again" in site.text(url, {"tab": "rejected"})


def test_records_on_their_way_are_explained(url: str, site: Site, export: Any) -> None:
    RunFactory(export=export, running=True, counts={"delivered": 10, "in_flight": 7})
    response = site.get(url)
    assert 'title="They are in the requests that are out now' in body(response)
    assert "Unconfirmed" not in text(response)


def test_ten_records_stand_on_their_tab_as_the_partner_gets_them(
    url: str, site: Site, project: Project, export: Any
) -> None:
    for _ in range(12):
        EventFactory(project=project, received_at=datetime.now(UTC) - timedelta(hours=1))
    response = site.get(url, {"tab": "payload"})
    assert text(response).count('"insert_id"') == 11  # the one beside the chart, too
    assert "an example from the last 24 hours, exactly as Amplitude gets it" in text(response)
    assert "Ten records" in text(response)


def test_of_a_record_that_would_be_rejected_the_card_says_so(
    url: str, site: Site, project: Project, export: Any
) -> None:
    EventFactory(project=project, identity="abc", received_at=datetime.now(UTC) - timedelta(hours=1))
    shown = site.text(url)
    assert "would be rejected: " in shown
    assert "exactly as Amplitude gets it" not in shown


def test_beside_the_chart_stands_a_record_that_is_sent_if_there_is_one(
    url: str, site: Site, project: Project, export: Any
) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    EventFactory(project=project, identity="abc", received_at=hour_ago)
    EventFactory(project=project, identity="customer-1", received_at=hour_ago + timedelta(minutes=1))
    shown = site.text(url)
    assert "would be rejected: " not in shown
    assert '"insert_id"' in shown


def test_settings_never_show_the_key(url: str, site: Site, integration: Any) -> None:
    response = site.get(url, {"tab": "settings"})
    assert "Identity, Email, Phone" in text(response)
    assert integration.secrets["api_key"] not in body(response)


def test_an_export_of_profiles_speaks_of_people(url: str, site: Site, export: Any) -> None:
    type(export).objects.update(type="user_profiles")
    run = RunFactory(export=export, done=True, counts={"delivered": 12})
    shown = site.text(url)
    assert "Growth analytics RUNNING Amplitude · Europe · User profiles · every 12 hours from 1 Oct 2026" in shown
    assert "no profile has changed in the last 24 hours" in shown
    settings = site.text(url, {"tab": "settings"})
    assert "Type User profiles Identifier priority" in settings
    click = datetime(2026, 11, 23, 12, tzinfo=UTC)
    type(run).objects.update(axis="person", window_start=click, window_end=click)
    type(export).objects.update(frequency="one_time")
    assert "all people as of 23 Nov 2026, 17:30" in site.text(url)
    assert "Date to export data all people" in site.text(url, {"tab": "settings"})


def test_settings_of_a_live_export_say_from_when_on_it_sends(url: str, site: Site, export: Any) -> None:
    type(export).objects.update(frequency="live", every_hours=None, start_date=None)
    assert "Date to export data what is captured from" in site.text(url, {"tab": "settings"})


def test_history_tells_who_changed_what(url: str, site: Site, export: Any) -> None:
    audit.record(
        action="export.edit", by=Actor(None, "asha@example.com"), now=datetime.now(UTC), project_id=export.project_id,
        target=export, before={"every_hours": 24}, after={"every_hours": 12},
    )  # fmt: skip
    assert "asha@example.com Edited Every hours: 24 → 12" in site.text(url, {"tab": "history"})


def test_history_shows_values_as_people_know_them(
    url: str, site: Site, project: Project, export: Any, integration: Any
) -> None:
    other = IntegrationFactory(project=project, nickname="Elsewhere")
    before = {"integration_id": integration.pk, "frequency": "live", "selected_events": [], "start_date": None}
    after = {"integration_id": other.pk, "frequency": "recurring", "selected_events": ["A", "B"]}
    audit.record(
        action="export.edit", by=Actor(None, "asha@example.com"), now=datetime.now(UTC), project_id=export.project_id,
        target=export, before=before, after={**after, "start_date": "2026-11-01"},
    )  # fmt: skip
    shown = site.text(url, {"tab": "history"})
    assert "Integration: Growth analytics → Elsewhere" in shown
    assert "Frequency: Live Data Streaming → Recurring" in shown
    assert "Selected events: none → A, B" in shown
    assert "Start date: none → 1 Nov 2026" in shown


def test_history_tells_why_the_portal_stopped_it_and_which_faults_there_were(
    url: str, site: Site, export: Any, integration: Any
) -> None:
    now = datetime.now(UTC)
    fault = "Amplitude does not know the API key."
    partner_actions.record_setup_fault(integration=integration, message=fault, now=now, again=None)
    lifecycle.stop(export, by=PORTAL, now=now, reason="Amplitude accepted no request for 3 days.")
    shown = site.text(url, {"tab": "history"})
    assert f"Setup fault: nothing is sent {fault}" in shown
    assert "Stopped Amplitude accepted no request for 3 days." in shown
    type(integration).objects.update(setup_fault="")
    later = now + timedelta(days=1)
    partner_actions.record_setup_fault(integration=integration, message="Another fault.", now=later, again=None)
    assert "Another fault." not in site.text(url, {"tab": "history"})


@pytest.mark.parametrize("tab", ["runs", "rejected"])
def test_the_live_part_equals_a_reload(url: str, site: Site, export: Any, tab: str) -> None:
    RunFactory(export=export, done=True, counts={"delivered": 1000, "rejected": 5})
    whole, swap = site.get(url, {"tab": tab}), site.get(url, {"tab": tab}, htmx=True)
    for name in ("live", "chart", *(["runs"] if tab == "runs" else [])):
        shown = [part for part in element(swap, name) if "csrfmiddlewaretoken" not in part]
        assert shown == [part for part in element(whole, name) if "csrfmiddlewaretoken" not in part]


@pytest.mark.parametrize("status", ["DONE", "STOPPED"])
def test_of_an_export_that_is_over_only_the_rejected_records_are_stopped(
    url: str, site: Site, export: Any, status: str
) -> None:
    records = rejected_in(export, "silenced")
    type(export).objects.update(status=status)
    Form(site.get(url, {"tab": "rejected", "reason": "silenced"}), "resend/").press(site, ALL_OF_IT)
    asked = text(site.get(f"{url}stop/", htmx=True))
    assert "Send no rejected records again?" in asked
    assert "Do not send them again" in asked
    assert "Stop export?" not in asked
    shown = text(site.client.post(f"{url}stop/", follow=True))
    assert "The rejected records are not sent again View export" in shown
    assert "data export stopped" not in shown
    assert (queued(records), status in shown) == ([False], True)


def test_what_keeps_the_keyboard_has_an_id_in_all_that_is_followed(
    url: str, site: Site, project: Project, export: Any
) -> None:
    """htmx gives the focus back by id."""
    for record in rejected_in(export, *["silenced"] * 25):
        type(record).objects.update(resend_at=datetime.now(UTC))
    export.runs.get().shards.update(resend_at=datetime.now(UTC))
    old = ExportFactory(project=project, integration=export.integration)
    type(export).objects.filter(pk=export.pk).update(continues=old)
    ExportFactory(project=project, integration=export.integration, continues=export)
    for status in ("RUNNING", "STOPPED"):
        type(export).objects.filter(pk=export.pk).update(status=status)
        swap = site.get(url, {"tab": "rejected", "page": "1", "follow": "rejected"}, htmx=True)
        row = site.get(url.removesuffix(f"{export.pk}/") + "rows/", {"id": export.pk}, htmx=True)
        focusable = re.findall(r"<(?:a|button|summary)\b[^>]*>", body(swap) + body(row))
        assert len(focusable) > 15
        assert [tag for tag in focusable if ' id="' not in tag] == []


def test_what_is_over_is_not_asked_for_again(url: str, site: Site, export: Any) -> None:
    assert 'hx-trigger="every' in body(site.get(url))
    type(export).objects.update(status="STOPPED", stop_reason="Three days without an accepted request.")
    response = site.get(url)
    assert 'hx-trigger="every' not in body(response)
    assert "Stopped by the portal. Three days without an accepted request." in text(response)


def test_records_that_are_sent_again_are_followed_until_none_is_left(url: str, site: Site, export: Any) -> None:
    records = rejected_in(export, "silenced", "silenced")
    type(export).objects.update(status="DONE")
    rejected_tab = {"tab": "rejected", "reason": "silenced"}
    assert 'hx-trigger="every' not in body(site.get(url, rejected_tab))
    Form(site.get(url, rejected_tab), "resend/").press(site, ALL_OF_IT)
    follow = "?tab=rejected&page=1&reason=silenced&follow=rejected"
    assert f'hx-get="{escape(url + follow)}" hx-trigger="every' in body(site.get(url, rejected_tab))
    asked = site.get(url + follow, htmx=True)
    assert "being sent again" in " ".join(element(asked, "rejected"))
    assert escape(follow) in body(asked)
    records[0].run.shards.update(resend_at=None)
    type(records[0]).objects.update(resend_at=None)
    last = site.get(url + follow, htmx=True)
    assert "being sent again" not in " ".join(element(last, "rejected"))
    assert 'hx-trigger="every' not in body(last)


def test_the_question_for_consent_stays_while_other_records_are_sent_again(url: str, site: Site, export: Any) -> None:
    records = rejected_in(export, "silenced", "bad_time", created_at=LONG_AGO)
    type(records[1]).objects.filter(pk=records[1].pk).update(resend_at=datetime.now(UTC))
    records[0].run.shards.update(resend_at=datetime.now(UTC))
    form = Form(site.get(url, {"tab": "rejected"}), "resend/").tick("id", records[0].pk)
    asked = form.press(site, CHOSEN)
    follow = f"?tab=rejected&page=1&follow=rejected&consent=asked&id={records[0].pk}"
    assert escape(follow) in body(asked)
    swap = site.get(url + follow, htmx=True)
    assert ("consent", "yes") in Form(swap, "resend/").boxes
    assert Form(swap, "resend/").ticked("id") == [str(records[0].pk)]
    assert escape(follow) in body(swap)
    assert element(swap, "rejected") == element(asked, "rejected")
    assert "consent" not in Form(swap, "resend/").action


def test_enter_sends_the_chosen_records_not_all_of_the_reason(url: str, site: Site, export: Any) -> None:
    rejected_in(export, "silenced")
    form = Form(site.get(url, {"tab": "rejected", "reason": "silenced"}), "resend/")
    assert list(form.buttons) == [CHOSEN, ALL_OF_IT]


def test_chosen_records_are_left_alone_while_none_is_sent_again(url: str, site: Site, export: Any) -> None:
    rejected_in(export, "silenced")
    assert "follow=rejected" not in body(site.get(url, {"tab": "rejected"}))
    assert 'id="rejected"' not in body(site.get(url, {"tab": "rejected"}, htmx=True))


def test_trouble_is_said_with_retry_now(url: str, site: Site, export: Any) -> None:
    type(export).objects.update(needs_attention=True, last_error="Amplitude does not know the API key.")
    shown = site.text(url)
    assert "Needs attention. Amplitude does not know the API key." in shown
    assert "Retry now" in shown
    assert "Trying again now" in text(site.client.post(f"{url}retry/", follow=True))


def test_a_run_that_waits_through_an_outage_can_be_retried_now(url: str, site: Site, export: Any) -> None:
    assert "Retry now" not in site.text(url)
    type(export).objects.update(last_error="Amplitude is not available at the moment (503).")
    assert "Retry now" in site.text(url)
    site.post(f"{url}stop/", {})
    assert "Retry now" not in site.text(url)


def test_an_export_that_the_portal_stopped_says_how_to_go_on_and_where_it_went_on(
    url: str, site: Site, export: Any
) -> None:
    type(export).objects.update(status="STOPPED", stop_reason="Amplitude accepted no request for 3 days.")
    assert "once that is mended, continue from where it stopped" in site.text(url)
    new = site.post(f"{url}continue/", {})["Location"]
    shown = site.text(url)
    assert "Continued from where it stopped as Growth analytics (continued)" in shown
    assert "once that is mended" not in shown
    assert f'href="{new}"' in body(site.get(url))
    assert "Goes on where an earlier export stopped" in site.text(new)


@pytest.mark.parametrize(("frequency", "words"), [("recurring", "can continue"), ("one_time", "a duplicate begins")])
def test_stop_tells_what_can_be_done_afterwards(
    site: Site, project: Project, integration: Any, frequency: str, words: str
) -> None:
    export = ExportFactory(project=project, integration=integration, recurring=frequency == "recurring")
    assert words in site.text(f"/{project.account_id}/settings/partners/exports/{export.pk}/stop/")


def test_a_stopped_one_time_export_leads_to_its_duplicate(
    site: Site, viewer_site: Site, project: Project, integration: Any
) -> None:
    export = ExportFactory(project=project, integration=integration)
    url = f"/{project.account_id}/settings/partners/exports/{export.pk}/"
    assert "is not continued" not in site.text(url)
    type(export).objects.update(status="STOPPED")
    assert "A One time export is not continued: Duplicate sends its days anew." in site.text(url)
    assert "is not continued" not in viewer_site.text(url)
    type(export).objects.update(type="user_profiles", date_from=None, date_to=None)
    assert "Duplicate sends all people anew, as they are then." in site.text(url)


def test_a_live_export_tells_its_settings_and_no_next_run(url: str, site: Site, export: Any) -> None:
    type(export).objects.update(frequency="live", every_hours=None, start_date=None)
    shown = site.text(url, {"tab": "settings"})
    assert "Date to export data what is captured from" in shown
    assert "next run" not in shown


def test_run_now_says_what_came_of_it(url: str, site: Site, export: Any) -> None:
    RunFactory(export=export, running=True)
    assert "A run of this export is being read right now." in text(site.client.post(f"{url}run-now/", follow=True))


def test_actions_need_a_post(url: str, site: Site) -> None:
    for name in ("retry", "run-now"):
        response = site.get(f"{url}{name}/")
        assert response.status_code == 405
        assert "nothing was done. Go back to the page with the button" in text(response)


@pytest.mark.parametrize("name", ["retry", "run-now", "continue", "resend"])
def test_an_action_after_the_session_has_ended_is_not_done_and_leads_back(url: str, export: Any, name: str) -> None:
    client = Client()
    asked = client.post(f"{url}{name}/?tab=rejected&page=2")
    assert asked.headers["Location"] == f"/login/?next={url}%3Ftab%3Drejected%26page%3D2"
    login = asked.headers["Location"]
    assert "Nothing was done, as you were signed out. Sign in," in text(client.get(login))
    user = UserFactory(email="late@example.com")
    MembershipFactory(project=export.project, user=user)
    wrong, right = ({"username": user.email, "password": password} for password in ("wrong", PASSWORD))
    assert "Nothing was done" in text(client.post(login, wrong))
    view = client.post(login, right, follow=True)
    assert view.request["PATH_INFO"] == url
    assert "Nothing was done, as you were signed out. Now you can do it again." in text(view)
    assert "Nothing was done" not in text(client.get(url))


def test_a_form_after_the_session_has_ended_opens_again(url: str, site: Site) -> None:
    assert Client().post(f"{url}stop/").headers["Location"] == f"/login/?next={url}stop/"


TABS = {"runs": 18, "rejected": 18, "skipped": 18, "payload": 14, "settings": 14, "history": 16}


@pytest.mark.parametrize(("tab", "queries"), TABS.items())
def test_the_page_asks_the_same_few_questions_however_many_runs_there_are(
    url: str, site: Site, export: Any, tab: str, queries: int, django_assert_num_queries: Any
) -> None:
    for place in range(15):
        run = RunFactory(export=export, done=True, counts={"delivered": place, "rejected": 1, "skipped": 1})
        RejectedFactory(run=run)
        SkippedFactory(run=run)
    with django_assert_num_queries(queries):
        site.get(url, {"tab": tab})


def test_the_live_part_asks_the_same_few_questions_however_many_runs_there_are(
    url: str, site: Site, export: Any, django_assert_num_queries: Any
) -> None:
    for place in range(15):
        RunFactory(export=export, done=True, counts={"delivered": place})
    with django_assert_num_queries(15):
        site.get(url, htmx=True)


def test_a_single_run_shows_what_became_of_its_records(url: str, site: Site, export: Any) -> None:
    RunFactory(export=export, done=True, counts={"delivered": 100_000, "rejected": 1})
    response = site.get(url)
    assert "What became of the records" in text(response)
    assert 'aria-label="Accepted 100,000, Rejected 1, Held 0, Skipped 0"' in body(response)


LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
ALL_OF_IT, CHOSEN = "Send all of this reason again", "Send chosen again"


def rejected_in(export: Any, *reasons: str, **more: Any) -> list[Any]:
    run = RunFactory(export=export, done=True, counts={"rejected": len(reasons)})
    return [
        RejectedFactory(run=run, reason=reason, record_id=number, **more) for number, reason in enumerate(reasons, 1)
    ]


def queued(records: list[Any]) -> list[bool]:
    for record in records:
        record.refresh_from_db()
    return [record.resend_at is not None for record in records]


def test_rejected_records_are_filtered_by_reason_and_sent_again(url: str, site: Site, export: Any) -> None:
    records = rejected_in(export, "silenced", "silenced", "bad_time")
    response = site.get(url, {"tab": "rejected", "reason": "silenced"})
    assert "All Silenced by Amplitude 2 Impossible time 1" in text(response)
    after = Form(response, "resend/").press(site, ALL_OF_IT)
    assert "2 records are being sent again" in text(after)
    assert ALL_OF_IT in text(after)
    assert queued(records) == [True, True, False]


def test_consent_and_all_of_a_reason_go_together(url: str, site: Site, export: Any) -> None:
    records = rejected_in(export, "silenced", "silenced", "bad_time", created_at=LONG_AGO)
    response = site.get(url, {"tab": "rejected", "reason": "silenced"})
    asked = Form(response, "resend/").press(site, ALL_OF_IT)
    assert "2 records were rejected more than 7 days ago" in text(asked)
    assert queued(records) == [False, False, False]
    Form(asked, "resend/").tick("consent", "yes").press(site, ALL_OF_IT)
    assert queued(records) == [True, True, False]


def test_a_selection_of_old_records_asks_for_consent_and_stays_chosen(url: str, site: Site, export: Any) -> None:
    records = rejected_in(export, *["silenced"] * 25, created_at=LONG_AGO)
    form = Form(site.get(url, {"tab": "rejected", "page": "2"}), "resend/")
    assert ("consent", "yes") not in form.boxes
    asked = Form(form.tick("id", records[2].pk).press(site, CHOSEN), "resend/")
    assert asked.ticked("id") == [str(records[2].pk)]
    asked.tick("consent", "yes").press(site, CHOSEN)
    assert queued(records) == [place == 2 for place in range(25)]


def test_a_disconnected_integration_asks_for_no_consent(url: str, site: Site, export: Any, integration: Any) -> None:
    records = rejected_in(export, "silenced", created_at=LONG_AGO)
    form = Form(site.get(url, {"tab": "rejected"}), "resend/").tick("id", records[0].pk)
    type(integration).objects.update(disconnected_at=LONG_AGO)
    after = form.press(site, CHOSEN)
    assert "has been disconnected" in text(after)
    assert ("consent", "yes") not in Form(after, "resend/").boxes


@pytest.mark.parametrize("reason", ["\0", "silenced\0"])
def test_a_nul_in_a_reason_is_left_out(url: str, site: Site, export: Any, reason: str) -> None:
    (record,) = rejected_in(export, "silenced")
    assert "Silenced by Amplitude" in site.text(url, {"tab": "rejected", "reason": reason})
    assert str(record.pk) in site.get(f"{url}rejected.csv", {"reason": reason}).getvalue().decode()
    answer = site.post(f"{url}resend/", {"reason": reason, "id": [record.pk]})
    assert (answer.status_code, queued([record])) == (302, [True])


def test_choosing_nothing_is_said(url: str, site: Site, export: Any) -> None:
    site.post(f"{url}resend/", {})
    assert "No records are chosen. Choose between 1 and 10,000, or all of a reason." in site.text(url)


def test_the_file_of_rejected_records_is_offered(url: str, site: Site, export: Any) -> None:
    RunFactory(export=export, done=True)
    record = RejectedFactory(run=RunFactory(export=export, done=True, counts={"rejected": 1}), message="=1+1")
    response = site.get(f"{url}rejected.csv")
    assert response["Content-Disposition"] == f'attachment; filename="rejected-export-{export.pk}.csv"'
    (line,) = csv.DictReader(io.StringIO(response.getvalue().decode()))
    assert line["message"] == "'=1+1"
    assert (line["run"], line["run_id"]) == ("2", str(record.run_id))


def test_an_export_is_duplicated_and_a_stopped_one_continued(url: str, site: Site, export: Any) -> None:
    assert "Duplicate" in site.text(url)
    assert "Continue from where it stopped" not in site.text(url)
    site.post(f"{url}stop/", {})
    assert "Continue from where it stopped" in site.text(url)
    response = site.post(f"{url}continue/", {})
    assert "PENDING" in site.text(response["Location"])


def test_consent_is_asked_for_before_records_may_count_twice(url: str, site: Site, export: Any) -> None:
    site.post(f"{url}stop/", {})
    run = RunFactory(export=export, status="STOPPED", reading=True, counts={"unconfirmed": 7})
    run.finished_at = datetime.now(UTC) - timedelta(days=8)
    run.save()
    asked = site.post(f"{url}continue/", {})
    shown = site.get(asked["Location"])
    assert "7 records were sent without an answer more than 7 days ago" in text(shown)
    assert "Continue, though some may count twice" in text(shown)
    assert '<input type="hidden" name="consent" value="yes">' in body(shown)
    assert "PENDING" in site.text(site.post(f"{url}continue/", {"consent": "yes"})["Location"])


@pytest.fixture
def streaming(project: Project, integration: Any) -> Any:
    """A live export whose run has been open for an hour."""
    created = datetime.now(UTC) - timedelta(hours=1)
    export = ExportFactory(project=project, integration=integration, live=True, running=True, created_at=created)
    RunFactory(
        export=export, running=True, axis="position", window_start=created, window_end=created, until_tx_id=None,
        counts={"delivered": 1960, "rejected": 12},
    )  # fmt: skip
    return export


@pytest.fixture
def live_url(project: Project, streaming: Any) -> str:
    return f"/{project.account_id}/settings/partners/exports/{streaming.pk}/"


def test_a_live_export_tells_whether_it_is_up_to_date_instead_of_a_progress(
    live_url: str, site: Site, project: Project
) -> None:
    response = site.get(live_url)
    assert "Lag Up to date sent within seconds" in text(response)
    assert "Time left" not in text(response)
    assert "<progress" not in body(response)
    EventFactory(project=project, received_at=datetime.now(UTC) - timedelta(seconds=125))
    assert "Lag 2 min 5 s behind · 1 event waiting" in site.text(live_url)


def test_a_live_export_has_its_chart_per_hour(live_url: str, site: Site, streaming: Any) -> None:
    assert "Nothing has been delivered yet." in site.text(live_url)
    hour = schedule.local_hour(datetime.now(UTC), streaming.project.tz)
    long_ago = (hour - timedelta(hours=30)).isoformat()
    first, second = hour.isoformat(), (hour - timedelta(hours=2)).isoformat()
    streaming.runs.get().shards.update(hours={first: [1200, 5], second: [760, 7], long_ago: [9, 9]})
    RunFactory(export=streaming, done=True).shards.update(hours={first: [40, 0]})
    response = site.get(live_url)
    assert "Delivered per hour" in text(response)
    assert ": 1,240 accepted, 5 rejected" in body(response)
    assert ": 760 accepted, 7 rejected" in body(response)
    assert "9 accepted, 9 rejected" not in body(response)
    said = "the last 24 hours: 2,000 accepted, 12 rejected, 1,245 in the highest bar"
    assert f'aria-label="Delivered and rejected records of {said}"' in body(response)
    assert body(response).count("<title>") == 1 + 24


def test_the_settings_of_a_live_export_say_from_when_on_it_sends(live_url: str, site: Site) -> None:
    assert "Live Data Streaming, within seconds Date to export data what is captured from" in site.text(
        live_url, {"tab": "settings"}
    )


def test_an_export_that_is_over_is_shown_by_the_mapping_that_it_was_sent_by(
    site: Site, project: Project, integration: Any
) -> None:
    event = EventFactory(project=project, occurred_at=datetime(2026, 10, 2, 6, 30, tzinfo=UTC))
    day = date(2026, 10, 2)
    export = ExportFactory(project=project, integration=integration, done=True, date_from=day, date_to=day)
    RunFactory(export=export, done=True, counts={"delivered": 1})
    integration.settings = {**integration.settings, "device_id_mapping": "none", "data_residency": "standard"}
    integration.save()
    url = f"/{project.account_id}/settings/partners/exports/{export.pk}/"
    shown = site.text(url, {"tab": "settings"})
    assert "Data Residency Europe Device ID Mapping CleverTap ID" in shown
    assert f'"device_id": "{event.clevertap_id}"' in site.text(url, {"tab": "payload"})
    for page in (url, f"/{project.account_id}/settings/partners/exports/"):
        assert "Amplitude · Europe" in site.text(page)
    type(export).objects.update(status="RUNNING")
    assert "Amplitude · Standard" in site.text(url)
