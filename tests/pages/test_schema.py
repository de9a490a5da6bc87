"""Settings > Schema: names with type and state, their properties, discarding them, the stream."""

from datetime import UTC, datetime
from typing import Any

import pytest

from events.models import EventName, PropertySeen, RefusedUpload
from exports_portal.common.models import AuditEntry
from projects.models import Project
from tests.factories import EventFactory, EventNameFactory
from tests.pages.html import Site, body, element, text

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def name(project: Project) -> EventName:
    return EventNameFactory(project=project, name="Charged", kind="system", count=31_870)


@pytest.fixture
def root(project: Project) -> str:
    return f"/{project.account_id}/settings/schema/"


def test_names_have_type_count_and_state(site: Site, project: Project, name: EventName, root: str) -> None:
    EventNameFactory(project=project, name="Old banner", discarded_at=NOW)
    EventNameFactory(name="Of somebody else")
    shown = site.text(root)
    assert "Charged System 31,870 being counted Active" in shown
    assert "Old banner Custom 0 being counted Discarded" in shown
    assert "Of somebody else" not in shown


def test_names_are_found_by_type_and_words(site: Site, project: Project, name: EventName, root: str) -> None:
    EventNameFactory(project=project, name="Searched")
    assert "Searched" not in site.text(root, {"kind": "system"})
    assert "Charged" not in site.text(root, {"kind": "custom"})
    assert "Charged" in site.text(root, {"kind": "nonsense"})
    assert "Searched" in site.text(root, {"kind": "custom", "search": "sea"})
    assert "No event matches" in site.text(root, {"kind": "system", "search": "sea"})


def test_properties_have_their_types_and_counts(site: Site, name: EventName, root: str) -> None:
    for key, kind, count in (("Amount", "number", 31_000), ("Amount", "string", 12), ("Gift wrap", "boolean", 5)):
        PropertySeen.objects.create(name=name, key=key, type=kind, count=count, last_seen_at=NOW)
    shown = site.text(f"{root}{name.pk}/")
    assert "Amount Number · 31,000 Text · 12 31,012" in shown
    assert "Gift wrap True or false 5" in shown


def test_an_admin_discards_and_restores_a_name(site: Site, project: Project, name: EventName, root: str) -> None:
    url = f"{root}{name.pk}/discard/"
    assert "Discard “Charged”?" in site.text(url)
    assert "“Charged” has been discarded" in text(site.client.post(url, follow=True))  # type: ignore[arg-type]
    assert "Discarded since" in site.text(f"{root}{name.pk}/")
    answer = site.client.post(f"{root}{name.pk}/restore/", follow=True)
    assert "“Charged” has been restored" in text(answer)  # type: ignore[arg-type]
    name.refresh_from_db()
    assert name.discarded_at is None
    actions = AuditEntry.objects.filter(target_id=name.pk, target_type="eventname").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == ["event_name.discard", "event_name.restore"]


def test_others_see_but_do_not_discard(viewer_site: Site, name: EventName, root: str) -> None:
    assert "Discard" not in viewer_site.text(f"{root}{name.pk}/")
    for verb in ("discard", "restore"):
        assert viewer_site.get(f"{root}{name.pk}/{verb}/").status_code == 403
        assert viewer_site.post(f"{root}{name.pk}/{verb}/").status_code == 403


def test_names_of_other_projects_are_not_found(site: Site, root: str) -> None:
    strange = EventNameFactory()
    for path in ("", "discard/", "restore/"):
        assert site.get(f"{root}{strange.pk}/{path}").status_code == 404


def test_the_stream_shows_what_came_in_and_what_was_refused_and_equals_a_reload(
    site: Site, project: Project, root: str
) -> None:
    EventFactory(project=project, identity="asha", properties={"Item": "Chai ☕"})
    RefusedUpload.objects.create(
        project=project, received_at=NOW, code=515, error="Email is not valid.", record='{"a": "<b>"}'
    )
    EventFactory(identity="stranger")
    url = f"{root}stream/"
    shown = site.text(url)
    for words in ("asha", '{"Item":"Chai ☕"}', "515 Email is not valid.", '{"a": "<b>"}'):
        assert words in shown
    assert "stranger" not in shown
    whole, swap = site.get(url), site.get(url, htmx=True)
    assert f'hx-get="{url}"' in body(whole)
    assert element(whole, "stream") == element(swap, "stream")
    assert "<b>" not in body(swap)


def test_an_empty_project_says_what_comes_here(site: Site, root: str) -> None:
    assert "No events yet" in site.text(root)
    assert "No record was refused" in site.text(f"{root}stream/")


def test_lists_ask_the_same_few_questions_however_many_there_are(
    site: Site, project: Project, name: EventName, root: str, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        EventNameFactory(project=project)
        PropertySeen.objects.create(name=name, key=f"k{number}", type="string", count=1, last_seen_at=NOW)
    with django_assert_num_queries(9):
        site.get(root)
    with django_assert_num_queries(8):
        site.get(f"{root}{name.pk}/")
