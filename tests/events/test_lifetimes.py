"""The lifetime events of a person: right after any number of steps, merges, deletions and restored dumps."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from events import erasure, positions
from events.demerge import demerge
from events.erasure import delete_people
from events.lifetimes import Summary, lifetimes
from events.models import LifetimeCount, Person, RollupPosition
from events.rollup import roll_up_all
from projects.models import Project
from tests.events.capture import NOW, capture, event, profile
from tests.events.test_ingest import at_once
from tests.factories import TESTS, ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)
Counts = dict[str, int]


def at(moment: datetime) -> int:
    return int(moment.timestamp())


def summary(person: Person) -> Summary:
    return lifetimes([person.pk]).get(person.pk, {})


def counts(**which: Any) -> Counts:
    """Of the only person with these values."""
    return {name: one["count"] for name, one in summary(Person.objects.get(**which)).items()}


def test_each_event_has_its_count_and_when_it_was_first_and_last(project: Project) -> None:
    first, last = at(NOW - timedelta(days=400)), at(NOW)
    capture(project, event(ts=first + 60), event(ts=last), event(ts=first), event(name="Searched", ts=last))
    capture(project, event("ravi", name="Searched"))
    roll_up_all()
    expected = {
        "Product Viewed": {"count": 3, "first_seen": first, "last_seen": last},
        "Searched": {"count": 1, "first_seen": last, "last_seen": last},
    }
    assert summary(Person.objects.get(identity="asha")) == expected
    assert counts(identity="ravi") == {"Searched": 1}


def test_steps_of_any_size_count_each_event_once(project: Project) -> None:
    for size in (1, 5, 2, 9, 1, 1, 4):
        capture(project, *(event() for _ in range(size)))
    assert at_once(*[lambda: roll_up_all(step_rows=3)] * 3) == []
    roll_up_all()
    assert roll_up_all() == 0
    capture(project, event(ts=at(NOW - timedelta(days=1))))
    roll_up_all()
    assert counts() == {"Product Viewed": 24}
    assert summary(Person.objects.get())["Product Viewed"]["first_seen"] == at(NOW - timedelta(days=1))


def test_what_a_device_did_before_its_login_counts_for_the_person_until_a_demerge(project: Project) -> None:
    capture(project, event(None, objectId="__1"), event(None, objectId="__1"), event("asha", objectId="__2"))
    roll_up_all()
    assert (counts(clevertap_id="__1"), counts(identity="asha")) == ({"Product Viewed": 2}, {"Product Viewed": 1})
    capture(project, event("asha", objectId="__1"))
    roll_up_all()
    assert (counts(clevertap_id="__1"), counts(identity="asha")) == ({"Product Viewed": 2}, {"Product Viewed": 4})
    demerge(project=project, identities=["asha"], by=TESTS, now=NOW)
    assert (counts(clevertap_id="__1"), counts(identity="asha")) == ({"Product Viewed": 2}, {"Product Viewed": 2})
    capture(project, event(None, objectId="__1"))
    roll_up_all()
    assert (counts(clevertap_id="__1"), counts(identity="asha")) == ({"Product Viewed": 3}, {"Product Viewed": 2})


def test_nothing_is_kept_or_counted_of_people_who_were_deleted(project: Project) -> None:
    capture(project, event(None, objectId="__1"), event("asha", objectId="__2"), event("asha", objectId="__1"))
    capture(project, event("ravi"))
    roll_up_all()
    capture(project, event("asha"))  # not rolled up before she is deleted
    delete_people(project=project, identities=["asha"], by=TESTS, now=NOW)
    assert LifetimeCount.objects.count() == 1
    roll_up_all()
    assert LifetimeCount.objects.count() == 1
    erasure.erase_rows(erasure.unfinished(), is_last=False)
    capture(project, event("asha"))
    roll_up_all()
    assert (counts(identity="asha"), counts(identity="ravi")) == ({"Product Viewed": 1}, {"Product Viewed": 1})


def test_counting_and_deleting_wait_for_each_other(project: Project) -> None:
    names = [f"person-{number}" for number in range(40)]
    capture(project, *(event(name) for name in names))
    roll_up_all()
    for _ in range(3):
        capture(project, *(event(name) for name in names))

    def delete() -> None:
        for name in names[:20]:
            delete_people(project=project, identities=[name], by=TESTS, now=NOW)

    assert at_once(delete, *[lambda: roll_up_all(step_rows=1)] * 2) == []
    roll_up_all()
    assert sorted(LifetimeCount.objects.values_list("person__identity", "count")) == sorted(
        (name, 4) for name in names[20:]
    )


def test_a_project_whose_catalogue_was_counted_before_gets_its_people_counted(project: Project) -> None:
    capture(project, event())
    RollupPosition.objects.create(project=project, tx_id=positions.ceiling())
    roll_up_all()
    assert counts() == {"Product Viewed": 1}
    assert project.event_names.get().count == 0


def test_events_after_a_restored_dump_are_counted_on_top(project: Project) -> None:
    capture(project, event())
    roll_up_all()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_logbase SET system_identifier = 1")
    positions.rebase()
    roll_up_all()
    capture(project, event())
    roll_up_all()
    assert counts() == {"Product Viewed": 2}


def test_profiles_have_their_events_over_the_api(project: Project, headers: dict[str, str]) -> None:
    capture(project, event(ts=at(NOW)), profile("ravi", Plan="Gold"))
    capture(ProjectFactory(), event())
    roll_up_all()
    client = Client(headers=headers)
    seen = {"Product Viewed": {"count": 1, "first_seen": at(NOW), "last_seen": at(NOW)}}
    assert client.get("/1/profile.json", {"identity": "asha"}).json()["record"]["events"] == seen
    assert client.get("/1/profile.json", {"identity": "ravi"}).json()["record"]["events"] == {}
    cursor = client.post("/1/profiles.json", "{}", content_type="application/json").json()["cursor"]
    records = client.get("/1/profiles.json", {"cursor": cursor}).json()["records"]
    assert [record["events"] for record in records] == [seen, {}]


def test_records_of_events_have_them_unless_told_otherwise(project: Project, headers: dict[str, str]) -> None:
    capture(project, event(None, objectId="__1", ts=at(NOW)), event("asha", ts=at(NOW)))
    capture(project, event("asha", objectId="__1", ts=at(NOW)))
    roll_up_all()
    client = Client(headers=headers)

    def profiles(**options: str) -> list[Any]:
        question = {"event_name": "Product Viewed", "from": 20261120, "to": 20261120}
        url = "/1/events.json"
        cursor = client.get(url, {"query": json.dumps(question), **options}).json()["cursor"]
        return [record["profile"] for record in client.get(url, {"cursor": cursor}).json()["records"]]

    assert [one["events"]["Product Viewed"]["count"] for one in profiles()] == [3, 3, 3]
    assert not any("events" in one for one in profiles(events="false"))
