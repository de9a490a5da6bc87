"""Settings > Project > Sources: importing from CleverTap, with its progress, its faults, and who may do it."""

from datetime import date
from typing import Any

import pytest
from django.utils import timezone

from exports_portal.common.models import AuditEntry
from projects.models import Project
from sources.models import Pull, Source
from tests.pages.html import Site, body, element, text

GIVEN = {
    "account_id": "ABC-DEF-GHIJ",
    "passcode": "OLS-ABC-1234-passcode",
    "region": "in1",
    "timezone": "Asia/Kolkata",
    "events": "App Launched\r\n\r\n Charged \r\nCharged",
    "date_from": "2026-11-01",
    "date_to": "2026-11-03",
}


@pytest.fixture
def root(project: Project) -> str:
    return f"/{project.account_id}/settings/project/sources/"


@pytest.fixture
def source(site: Site, root: str) -> Source:
    site.post(f"{root}new/", GIVEN)
    return Source.objects.get()


def test_a_source_is_made_and_its_days_are_planned(site: Site, root: str) -> None:
    response = site.client.post(f"{root}new/", GIVEN, follow=True)
    assert "Import from CleverTap ABC-DEF-GHIJ has begun" in text(response)  # type: ignore[arg-type]
    source = Source.objects.get()
    assert source.events == ["App Launched", "Charged"]
    assert source.passcode == "OLS-ABC-1234-passcode"
    assert source.pulls.count() == 6
    assert "CleverTap ABC-DEF-GHIJ 2 events India 1 Nov 2026 – 3 Nov 2026" in site.text(root)


def test_nothing_shows_the_passcode(site: Site, root: str, source: Source) -> None:
    for path in ("", f"{source.pk}/", f"{source.pk}/edit/"):
        shown = body(site.get(f"{root}{path}"))
        assert "OLS-ABC" not in shown
    assert "••••code" in site.text(f"{root}{source.pk}/")
    assert "OLS-ABC" not in str(list(AuditEntry.objects.values_list("after", "before")))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("account_id", "", "Enter the account ID"),
        ("account_id", "a b", "An account ID looks like"),
        ("passcode", "", "Enter a passcode"),
        ("passcode", "ä", "A passcode is one word"),
        ("region", "xx", "Select a valid choice"),
        ("timezone", "Mars/Base", "Select a valid choice"),
        ("events", " \n", "Enter the events to import"),
        ("events", "\n".join(f"E{n}" for n in range(101)), "These are 101 events; 100 is the most"),
        ("events", "x" * 513, "cannot be an event name"),
        ("date_from", "", "Enter the first day."),
        ("date_from", "2012-12-31", "The first day must lie between"),
        ("date_from", "2999-01-01", "The first day must lie between"),
        ("date_to", "2026-10-31", "The last day lies before the first."),
    ],
)
def test_wrong_input_is_named_at_its_field(site: Site, root: str, field: str, value: str, said: str) -> None:
    response = site.post(f"{root}new/", {**GIVEN, field: value})
    assert response.status_code == 422
    assert said in text(response)
    assert f'id="id_{field}_error"' in body(response)
    assert not Source.objects.exists()


def test_too_many_days_are_refused_before_they_are_planned(site: Site, root: str) -> None:
    many = {**GIVEN, "events": "\n".join(f"E{n}" for n in range(100)), "date_from": "2020-01-01"}
    assert "are too many" in text(site.post(f"{root}new/", many))
    assert not Source.objects.exists()


def test_an_account_is_imported_by_one_source(site: Site, root: str, source: Source) -> None:
    response = site.post(f"{root}new/", GIVEN)
    assert "imports from the account ABC-DEF-GHIJ already" in text(response)


def test_an_edit_plans_anew_and_keeps_the_passcode(site: Site, root: str, source: Source) -> None:
    Pull.objects.filter(day=date(2026, 11, 1), name="Charged").update(state="done", captured=7, read=7)
    Source.objects.update(fault="CleverTap refuses the passcode.")
    assert "Nothing is imported. CleverTap refuses the passcode." in site.text(f"{root}{source.pk}/")
    edited = {**GIVEN, "passcode": "", "events": "Searched", "date_to": "2026-11-02"}
    assert "has been updated" in text(site.client.post(f"{root}{source.pk}/edit/", edited, follow=True))  # type: ignore[arg-type]
    source.refresh_from_db()
    assert (source.passcode, source.fault) == ("OLS-ABC-1234-passcode", "")
    pulls = set(source.pulls.values_list("name", "day", "state"))
    first, second = date(2026, 11, 1), date(2026, 11, 2)
    assert pulls == {("Charged", first, "done"), ("Searched", first, "waiting"), ("Searched", second, "waiting")}
    other_zone = site.post(f"{root}{source.pk}/edit/", {**edited, "timezone": "UTC"})
    assert "Events were captured with the present time zone, and they keep their times" in text(other_zone)


@pytest.mark.parametrize(
    ("passcode", "said"),
    [
        ("OLS-ABC-1234-passcode", "Leave it empty to keep the one that ends in code."),
        ("OLS-ABC-1234", "Leave it empty to keep the present one."),
    ],
)
def test_the_panel_says_how_the_passcode_is_kept(site: Site, root: str, passcode: str, said: str) -> None:
    site.post(f"{root}new/", {**GIVEN, "passcode": passcode})
    assert said in site.text(f"{root}{Source.objects.get().pk}/edit/")


def test_progress_is_live_and_equals_a_reload(site: Site, root: str, source: Source) -> None:
    pull = source.pulls.filter(name="Charged").first()
    assert pull is not None
    Pull.objects.filter(pk=pull.pk).update(state="done", read=5_000, captured=4_990, known=8, refused=2)
    url = f"{root}{source.pk}/"
    assert "1 of 6 days of events are read" in site.text(url)
    assert "Charged 1 of 3 5,000 4,990 8 2" in site.text(url)
    whole, swap = site.get(url), site.get(url, htmx=True)
    assert f'hx-get="{url}"' in body(whole)
    assert element(whole, "source") == element(swap, "source")


def test_a_wait_says_why_and_may_be_cut_short(site: Site, root: str, source: Source) -> None:
    later = timezone.now() + timezone.timedelta(minutes=5)  # type: ignore[attr-defined]
    Source.objects.update(not_before=later, last_error="CleverTap could not be reached.", failures=4)
    shown = site.text(f"{root}{source.pk}/")
    assert "CleverTap could not be reached. It goes on by itself in 5 minutes" in shown
    assert "goes on" in text(site.client.post(f"{root}{source.pk}/retry/", follow=True))  # type: ignore[arg-type]
    source.refresh_from_db()
    assert (source.not_before, source.failures, source.last_error) == (None, 0, "")


def test_stopping_asks_first_and_forgets_the_passcode(site: Site, root: str, source: Source) -> None:
    url = f"{root}{source.pk}/stop/"
    assert "Stop: CleverTap ABC-DEF-GHIJ?" in site.text(url)
    assert "has been stopped" in text(site.client.post(url, follow=True))  # type: ignore[arg-type]
    source.refresh_from_db()
    assert (source.passcode, source.stopped_at is None) == ("", False)
    for verb in ("retry", "again"):
        assert "has been stopped" in text(site.post(f"{root}{source.pk}/{verb}/"))
    edited = site.post(f"{root}{source.pk}/edit/", GIVEN)
    assert (edited.status_code, "has been stopped" in text(edited)) == (422, True)
    actions = AuditEntry.objects.filter(target_type="source").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == ["source.create", "source.stop"]


def test_viewers_see_and_do_nothing(viewer_site: Site, root: str, source: Source) -> None:
    assert "Import from CleverTap" not in viewer_site.text(root)
    assert "Stop" not in viewer_site.text(f"{root}{source.pk}/").partition("State")[0]
    for path in ("new/", *(f"{source.pk}/{verb}/" for verb in ("edit", "stop", "retry", "again"))):
        assert viewer_site.get(f"{root}{path}").status_code == 403
        assert viewer_site.post(f"{root}{path}").status_code == 403


def test_sources_of_other_projects_are_not_found(site: Site, root: str, source: Source, db: Any) -> None:
    from tests.factories import ProjectFactory

    Source.objects.update(project=ProjectFactory())
    site.get(root)  # the message of the creation was shown
    assert "ABC-DEF-GHIJ" not in site.text(root)
    for verb in ("", "edit/", "stop/", "retry/", "again/"):
        assert site.get(f"{root}{source.pk}/{verb}").status_code == 404
