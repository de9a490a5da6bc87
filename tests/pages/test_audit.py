"""Settings > Project > Audit log: who did what, when, from where, and from what to what."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from exports_portal.common import audit
from exports_portal.common.audit import Actor
from projects.actions import edit_project
from projects.models import Project, User
from tests.factories import ExportFactory, ProjectFactory
from tests.pages.html import Site, body, element

MIRA = Actor(None, "mira@example.com", "203.0.113.7")
RAVI = Actor(None, "ravi@example.com")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def log(project: Project) -> str:
    return f"/{project.account_id}/settings/project/audit/"


def act(project: Project, action: str, *, by: Actor = MIRA, at: datetime = NOON, **values: Any) -> None:
    audit.record(action=action, by=by, now=at, project_id=project.pk, target=project, **values)


def rows(shown: str) -> int:
    return len(re.findall(r'<td data-label="When"', shown))


def test_an_entry_tells_who_what_from_where_and_from_what_to_what(site: Site, project: Project, log: str) -> None:
    edit_project(project=project, name="Chai & Co", timezone="Asia/Kolkata", by=MIRA, now=timezone.now())
    shown = site.text(log)
    assert f"mira@example.com 203.0.113.7 Project: edit project {project.pk}" in shown
    assert "Name: Kirana Mobile → Chai & Co" in shown
    assert "Kolkata →" not in shown  # the time zone stayed
    act(project, "export.run_now", after={"name": "Nightly", "events": [], "live": True})
    assert "Export: run now" in site.text(log)
    assert "Live: yes Name: Nightly Events: none" in site.text(log)


def test_it_leads_to_the_export_that_it_speaks_of(site: Site, project: Project, log: str) -> None:
    export = ExportFactory(project=project)
    audit.record(action="export.edit", by=MIRA, now=NOON, project_id=project.pk, target=export)
    assert f'href="/{project.account_id}/settings/partners/exports/{export.pk}/"' in body(site.get(log))


def test_it_is_filtered_by_person_act_and_local_day(site: Site, project: Project, log: str) -> None:
    act(project, "export.edit", at=datetime(2026, 11, 19, 18, 29, tzinfo=UTC))  # 23:59 in Kolkata
    act(project, "export.stop", by=RAVI, at=datetime(2026, 11, 19, 18, 30, tzinfo=UTC))  # midnight
    act(project, "export.stop", at=datetime(2026, 11, 20, 18, 30, tzinfo=UTC))
    found = {
        "": 3,
        "actor=ravi%40example.com": 1,
        "action=export.stop": 2,
        "action=export.stop&actor=mira%40example.com": 1,
        "at_after=2026-11-20": 2,
        "at_before=2026-11-20": 2,
        "at_after=2026-11-20&at_before=2026-11-20": 1,
        "actor=nobody": 0,
    }
    assert {query: rows(body(site.get(f"{log}?{query}"))) for query in found} == found
    assert "Who: ravi@example.com" in site.text(f"{log}?actor=ravi%40example.com")
    assert "What: Export: stop" in site.text(f"{log}?action=export.stop")
    assert "When: 20 Nov 2026" in site.text(f"{log}?at_after=2026-11-20&at_before=2026-11-20")
    file = site.get(f"/{project.account_id}/settings/project/audit.csv?actor=ravi%40example.com")
    assert len(b"".join(file.streaming_content).splitlines()) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("at_after=soon", "Write a date as 2026-11-23."),
        ("at_after=2026-11-20&at_before=2026-11-19", "The last day lies before the first."),
    ],
)
def test_a_filter_that_is_not_understood_is_named(site: Site, log: str, query: str, said: str) -> None:
    assert said in site.text(f"{log}?{query}")


def test_turning_the_pages_shows_each_entry_once_even_those_of_one_moment(
    site: Site, project: Project, log: str, django_assert_num_queries: Any
) -> None:
    site.get(log)
    for number in range(95):
        act(project, "test.act", at=NOON + timedelta(minutes=number // 50), after={"number": f"<{number}>"})
    url, seen = log, []
    for left in (2, 1, 0):
        with django_assert_num_queries(10):
            shown = site.get(url)
        seen += [int(number) for number in re.findall(r"&lt;(\d+)&gt;", body(shown))]
        older = re.search(r'id="audit-older" href="([^"]+)"', body(shown))
        assert bool(older) == bool(left)
        url = older[1].replace("&amp;", "&") if older else url
    assert seen == list(range(94, -1, -1))
    assert "action=test.act" in _older(site, f"{log}?action=test.act")
    assert rows(body(site.get(f"{log}?cursor=nonsense"))) == 40


def _older(site: Site, url: str) -> str:
    found = re.search(r'id="audit-older" href="([^"]+)"', body(site.get(url)))
    assert found
    return found[1]


def test_a_swap_equals_a_reload_and_going_back_brings_the_whole_page(site: Site, project: Project, log: str) -> None:
    for number in range(45):
        act(project, "test.act", at=NOON + timedelta(minutes=number))
    for url in (log, f"{log}?action=test.act&at_after=2026-11-20", _older(site, log), f"{log}?actor=nobody"):
        whole, swap = site.get(url), site.get(url, htmx=True)
        assert element(whole, "audit") == element(swap, "audit")
        assert "<title>" in body(whole)
        assert "<title>" not in body(swap)
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<title>" in body(site.client.get(log, headers=headers))  # type: ignore[arg-type]


def test_entries_of_other_projects_stay_there(site: Site, project: Project, log: str) -> None:
    act(ProjectFactory(), "secret.act", by=Actor(None, "stranger@example.com"))
    shown = site.text(log)
    assert "Nothing yet" in shown
    assert "stranger" not in shown
    assert "Secret" not in shown


def test_project_settings_lead_to_it_for_admins(site: Site, viewer_site: Site, project: Project, log: str) -> None:
    settings = f"/{project.account_id}/settings/project/"
    assert f'href="{log}"' in body(site.get(settings))
    assert log not in body(viewer_site.get(settings))
    assert viewer_site.get(log).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_filters_and_pages_are_swapped_in_a_browser(signed_in: Page, root: str, scene: Any) -> None:
    project = scene[0]
    user = User.objects.first()
    assert user is not None
    for number in range(45):
        act(project, "test.act", by=Actor(user.pk, user.email), at=timezone.now() - timedelta(minutes=number))
    signed_in.goto(f"{root}/settings/project/")
    signed_in.get_by_role("link", name="Audit log").click()
    signed_in.get_by_text("Filter", exact=True).click()
    signed_in.get_by_label("What").select_option("Test: act")
    signed_in.get_by_role("button", name="Apply").click()
    expect(signed_in.get_by_role("link", name="Remove the filter What: Test: act")).to_be_visible()
    assert "action=test.act" in signed_in.url
    signed_in.get_by_role("link", name="Older").click()
    expect(signed_in.locator(".table-box tbody tr")).to_have_count(5)
    signed_in.go_back()
    expect(signed_in.locator(".table-box tbody tr")).to_have_count(40)
    expect(signed_in.get_by_role("heading", name="Audit log")).to_be_visible()
    signed_in.get_by_role("link", name="Remove the filter What: Test: act").click()
    expect(signed_in.get_by_role("link", name="Remove the filter")).to_have_count(0)
    assert "action" not in signed_in.url
