"""What exports wait for is said where people look: why, until when, and what to do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from amplitude_client import WHY_HELD
from amplitude_client.named import QUOTA_SECONDS
from exports.models import Shard
from projects.models import Project
from tests.factories import ExportFactory, HeldFactory, RunFactory
from tests.pages.html import Site, text

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)  # 14:00 in Kolkata
OUTAGE = "Amplitude is not available at the moment (503)."


@pytest.fixture(autouse=True)
def frozen() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def export(project: Project, integration: Any) -> Any:
    return ExportFactory(project=project, integration=integration, recurring=True, running=True)


@pytest.fixture
def exports(project: Project) -> str:
    return f"/{project.account_id}/settings/partners/exports/"


@pytest.fixture
def url(exports: str, export: Any) -> str:
    return f"{exports}{export.pk}/"


def in_seconds(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_held_records_tell_why_and_until_when(url: str, exports: str, site: Site, export: Any) -> None:
    run = RunFactory(export=export, running=True, counts={"delivered": 5, "held": 3})
    HeldFactory(run=run, not_before=in_seconds(12))
    HeldFactory(run=run, not_before=in_seconds(14))
    HeldFactory(run=run, not_before=in_seconds(3600), message=WHY_HELD[QUOTA_SECONDS])
    shown = site.text(url)
    assert "3 records are held. 2: Amplitude throttles the user or device" in shown
    assert "The first goes in 12 s, at 14:00:12." in shown
    assert "1: The user or device has used up Amplitude's daily quota" in shown
    assert "It goes in 1 h, at 15:00:00." in shown
    assert "They are sent by themselves" in shown
    assert "Retry now" in shown
    assert "3 held · first in 12 s" in site.text(exports)


def test_what_a_stopped_export_holds_was_not_sent(url: str, site: Site, export: Any) -> None:
    HeldFactory(run=RunFactory(export=export, running=True, counts={"held": 1}))
    assert "1 record is held." in site.text(url)
    assert "It is sent by itself. The run" in site.text(url)
    site.post(f"{url}stop/", {})
    shown = site.text(url)
    assert "1 held record was not sent." in shown
    assert "Continue from where it stopped sends it under the same ids." in shown
    assert "Retry now" not in shown


def test_an_outage_tells_the_next_try_live(url: str, exports: str, site: Site, export: Any) -> None:
    run = RunFactory(export=export, running=True)
    Shard.objects.filter(run=run).update(not_before=in_seconds(95), failures=4)
    type(export).objects.update(last_error=OUTAGE)
    assert f"{OUTAGE} Next try in 1 min 35 s, at 14:01:35 after 4 failures in a row" in site.text(url)
    assert "RUNNING 0% next try in 1 min 35 s" in site.text(exports)
    with time_machine.travel(in_seconds(90), tick=False):
        assert "Next try in 5 s, at 14:01:35" in text(site.get(url, htmx=True))
    with time_machine.travel(in_seconds(96), tick=False):
        assert f"{OUTAGE} Trying again now." in text(site.get(url, htmx=True))


def test_a_pause_for_the_whole_integration_is_said_of_all_its_exports(
    url: str, exports: str, site: Site, export: Any, integration: Any, project: Project
) -> None:
    RunFactory(export=export, running=True)
    type(integration).objects.update(paused_until=in_seconds(15))
    assert "Amplitude asked for a pause: all exports of “Growth analytics” wait" in site.text(url)
    assert "Next try in 15 s, at 14:00:15; Retry now does not wait." in site.text(url)
    assert "next try in 15 s" in site.text(exports)
    partners = f"/{project.account_id}/settings/partners/"
    assert "Amplitude asked for a pause: sending goes on by itself in 15 s, at 14:00:15." in site.text(partners)
    with time_machine.travel(in_seconds(16), tick=False):
        assert "pause" not in site.text(url)
        assert "pause" not in site.text(partners)


def test_retry_now_ends_each_wait(url: str, site: Site, export: Any, integration: Any) -> None:
    run = RunFactory(export=export, running=True)
    Shard.objects.filter(run=run).update(not_before=in_seconds(95), failures=1)
    type(integration).objects.update(paused_until=in_seconds(15))
    assert "Trying again now" in text(site.client.post(f"{url}retry/", follow=True))
    assert "Next try" not in site.text(url)


def test_a_setup_fault_tells_when_the_portal_looks_again(
    url: str, site: Site, export: Any, integration: Any, project: Project
) -> None:
    fault = "Amplitude did not accept the API key."
    type(export).objects.update(needs_attention=True, last_error=fault)
    type(integration).objects.update(setup_fault=fault, probe_at=in_seconds(40))
    assert f"{fault} The portal looks again in 40 s, at 14:00:40; Retry now looks at once." in site.text(url)
    partners = site.text(f"/{project.account_id}/settings/partners/")
    assert f"Nothing is sent: {fault} The portal looks again in 40 s" in partners


def test_the_partner_list_counts_what_is_held(site: Site, export: Any, project: Project) -> None:
    RunFactory(export=export, running=True, counts={"held": 2})
    assert "2 records held" in site.text(f"/{project.account_id}/settings/partners/")


def test_nothing_waits_while_all_goes_well(url: str, exports: str, site: Site, export: Any) -> None:
    RunFactory(export=export, running=True, counts={"delivered": 5})
    for address in (url, exports):
        shown = site.text(address)
        assert "next try" not in shown.lower()
        assert "held." not in shown
        assert "Retry now" not in shown


def test_values_that_were_shortened_are_told(url: str, site: Site, export: Any) -> None:
    RunFactory(export=export, done=True, counts={"delivered": 5, "altered": 2, "takeovers": 1})
    RunFactory(export=export, done=True, counts={"delivered": 5, "altered": 1})
    shown = site.text(url)
    assert "3 records had a value shortened before it was sent" in shown
    assert "worker lost once, resumed · 2 records had a value shortened" in shown
    assert "1 record had a value shortened" in shown


def test_waits_cost_two_questions_however_many_exports_wait(
    exports: str, site: Site, project: Project, integration: Any, django_assert_num_queries: Any
) -> None:
    for _ in range(6):
        export = ExportFactory(project=project, integration=integration, recurring=True, running=True)
        run = RunFactory(export=export, running=True, counts={"held": 3})
        HeldFactory.create_batch(3, run=run)
    with django_assert_num_queries(15):
        site.get(exports)
