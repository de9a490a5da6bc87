"""Events and User profiles."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events.models import DailyCount, Identifier, LifetimeCount
from projects.models import Project
from tests.factories import EventFactory, EventNameFactory, PersonFactory
from tests.pages.html import Site, body, element


def test_without_events_the_page_shows_how_to_send_one(site: Site, project: Project) -> None:
    shown = site.text(f"/{project.account_id}/events/")
    assert "No events yet" in shown
    assert f"X-CleverTap-Account-Id: {project.account_id}" in shown
    assert "X-CleverTap-Passcode: <passcode>" in shown


def test_the_catalogue_counts_events_per_day(site: Site, project: Project) -> None:
    name = EventNameFactory(project=project, name="Charged", kind="system", count=31_870)
    EventFactory(project=project, name=name)
    today = datetime.now(project.tz).date()
    DailyCount.objects.create(name=name, day=today, count=7)
    DailyCount.objects.create(name=name, day=today - timedelta(days=13), count=3)
    DailyCount.objects.create(name=name, day=today - timedelta(days=14), count=99)
    url = f"/{project.account_id}/events/"
    assert "Charged System 31,870" in site.text(url)
    assert 'aria-label="last 14 days: 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7"' in body(site.get(url))
    assert "No event matches" in site.text(url, {"search": "nothing"})


def test_the_catalogue_is_paged(site: Site, project: Project) -> None:
    EventFactory(project=project, name=EventNameFactory(project=project, name="Most frequent", count=99))
    for place in range(50):
        EventNameFactory(project=project, name=f"Viewed {place:02}", count=50 - place)
    url = f"/{project.account_id}/events/"
    first, second = site.text(url), site.text(url, {"page": "2"})
    assert "1–50 of 51" in first
    assert "Most frequent" in first.partition("Catalogue of events")[2]
    assert "Viewed 49" not in first
    assert "Viewed 49" in second
    assert "Most frequent" not in second.partition("Catalogue of events")[2]
    assert "Viewed 07" in site.text(url, {"page": "2", "search": "viewed 07"})


def test_the_last_records_are_live_and_equal_a_reload(site: Site, project: Project) -> None:
    for place in range(12):
        EventFactory(project=project, tx_id=place + 1, identity=f"customer-{place:02}")
    url = f"/{project.account_id}/events/"
    whole, swap = site.get(url), site.get(url, htmx=True)
    assert f'hx-get="{url}"' in body(whole)
    assert element(whole, "latest") == element(swap, "latest")
    assert "customer-11" in body(swap)
    assert "customer-01" not in body(swap)


def test_events_of_other_projects_stay_there(site: Site, project: Project) -> None:
    EventFactory(identity="stranger")
    EventFactory(project=project)
    assert "stranger" not in site.text(f"/{project.account_id}/events/")


def test_people_are_found_by_each_identifier(site: Site, project: Project) -> None:
    person = PersonFactory(project=project, name="Asha Rao", email="Asha@example.com", phone="+4912345")
    for kind, value in (("device", "second-device"), ("identity", person.identity)):
        Identifier.objects.create(project=project, kind=kind, value=value, person=person)
    PersonFactory(project=project, name="Somebody else")
    url = f"/{project.account_id}/profiles/"
    for words in (person.identity, "asha@example.com", "+4912345", person.clevertap_id, "second-device"):
        shown = site.text(url, {"search": words})
        assert "Asha Rao" in shown, words
        assert "Somebody else" not in shown
    assert "Nobody has the identifier “asha”" in site.text(url, {"search": "asha"})


@pytest.mark.parametrize("page", ["events", "profiles"])
def test_nonsense_in_an_address_finds_nothing_and_breaks_nothing(page: str, site: Site, project: Project) -> None:
    for odd in ({"search": "\0"}, {"search": "a\0b"}, {"before": "²"}, {"before": "9" * 40}):
        site.text(f"/{project.account_id}/{page}/", odd)
    assert site.get(f"/{project.account_id}%00/{page}/").status_code == 404


def test_people_are_paged_by_key(site: Site, project: Project) -> None:
    people = [PersonFactory(project=project, name=f"Person {place:02}") for place in range(25)]
    url = f"/{project.account_id}/profiles/"
    first = site.text(url)
    assert "Person 24" in first
    assert "Person 05" in first
    assert "Person 04" not in first
    second = site.text(url, {"before": str(people[5].pk)})
    assert "Person 04" in second
    assert "Older" not in second
    assert "Person 24" in site.text(url, {"before": "nonsense"})


def test_a_profile_shows_identifiers_properties_and_last_events(site: Site, project: Project) -> None:
    person = PersonFactory(project=project, name="Asha Rao", properties={"Plan": "Gold ✨", "Tags": ["a", "b"]})
    Identifier.objects.create(project=project, kind="identity", value=person.identity, person=person)
    name = EventNameFactory(project=project, name="Charged")
    EventFactory(project=project, name=name, person=person, properties={"Amount": 499}, received_at=datetime.now(UTC))
    EventFactory(project=project, name=EventNameFactory(project=project, name="Not hers"))
    long_ago = {"first_seen_at": datetime.now(UTC), "last_seen_at": datetime.now(UTC)}
    LifetimeCount.objects.create(person=person, name=EventNameFactory(name="Signed Up"), count=1234, **long_ago)
    shown = site.text(f"/{project.account_id}/profiles/{person.pk}/")
    for words in ("Asha Rao", "Gold ✨", person.identity, "Charged", '"Amount": 499', "Signed Up", "1,234"):
        assert words in shown
    assert "Not hers" not in shown


def test_a_profile_and_the_anonymous_one_it_took_over_lead_to_each_other(site: Site, project: Project) -> None:
    asha = PersonFactory(project=project, identity="asha-1")
    before = PersonFactory(project=project, identity=None, merged_into=asha)
    url = f"/{project.account_id}/profiles/{{}}/"
    assert f"the device {before.clevertap_id} was anonymous" in site.text(url.format(asha.pk))
    assert url.format(before.pk) in body(site.get(url.format(asha.pk)))
    assert "its profile went over to asha-1" in site.text(url.format(before.pk))


def test_lists_ask_the_same_few_questions_however_many_there_are(
    site: Site, project: Project, django_assert_num_queries: Any
) -> None:
    for _ in range(5):
        event = EventFactory(project=project)
        DailyCount.objects.create(name=event.name, day=datetime.now(project.tz).date(), count=1)
    with django_assert_num_queries(9):
        site.get(f"/{project.account_id}/events/")
    with django_assert_num_queries(7):
        site.get(f"/{project.account_id}/profiles/")
    with django_assert_num_queries(8):
        site.get(f"/{project.account_id}/profiles/", {"search": event.person.clevertap_id})


def test_a_person_without_email_and_phone_shows_dashes(site: Site, project: Project) -> None:
    PersonFactory(project=project, email=None, phone=None)
    shown = site.text(f"/{project.account_id}/profiles/")
    assert "– –" in shown
