"""Who is who: identities, devices, FBID and GPID, email and phone lead to one person, from then on. Real commits."""

from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.models import Event, Identifier, Person, ProfileChange
from events.people import FIND_CONTACTS
from projects.models import Project
from tests.events.capture import capture, event, profile, stored
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


def person_of(project: Project, value: str, kind: str | None = None) -> Person:
    found = Identifier.objects.filter(project=project, value=value)
    return (found.filter(kind=kind) if kind else found).get().person


def on_device(device: str, **data: Any) -> dict[str, Any]:
    """A profile update that names a device only."""
    return {"type": "profile", "objectId": device, "profileData": data}


def anonymous(device: str) -> dict[str, Any]:
    return event(None, objectId=device)


def login(identity: str, device: str) -> dict[str, Any]:
    return event(identity, "Login", objectId=device)


def identities(project: Project) -> list[str | None]:
    return [row.identity for row in stored(project)]


def people(project: Project) -> list[int]:
    return [row.person_id for row in stored(project)]


def test_an_anonymous_device_that_logs_in_later_is_one_person_from_then_on(project: Project) -> None:
    capture(project, anonymous("__d1"), on_device("__d1", City="Pune"))
    capture(project, login("asha", "__d1"), anonymous("__d1"), event("asha"))
    person = Person.objects.get()
    assert (person.identity, person.clevertap_id, person.properties) == ("asha", "__d1", {"City": "Pune"})
    assert identities(project) == [None, "asha", "asha", "asha"]
    assert {row.clevertap_id for row in stored(project)} == {"__d1"}


def test_several_devices_are_one_person_and_keep_their_own_ids(project: Project) -> None:
    capture(project, login("asha", "__d1"), login("asha", "__d2"), login("asha", "__d3"), anonymous("__d2"))
    assert Person.objects.count() == 1
    assert [row.clevertap_id for row in stored(project)] == ["__d1", "__d2", "__d3", "__d2"]
    assert identities(project) == ["asha"] * 4


def test_a_second_device_that_logs_in_brings_its_profile_along_and_leaves_its_events(project: Project) -> None:
    capture(project, profile(City="Mumbai", Email="asha@example.com"))
    data = {"City": "Pune", "Language": "mr", "Phone": "+919800000001", "Email": "other@example.com"}
    capture(project, anonymous("__d2"), on_device("__d2", **data))
    earlier = person_of(project, "__d2")
    capture(project, login("asha", "__d2"), anonymous("__d2"))
    asha, earlier = person_of(project, "asha"), Person.objects.get(pk=earlier.pk)
    assert person_of(project, "__d2") == asha != earlier
    assert (asha.email, asha.phone) == ("asha@example.com", "+919800000001")
    assert asha.properties == {"City": "Mumbai", "Language": "mr"}
    assert (earlier.merged_into, earlier.email, earlier.phone, earlier.properties) == (asha, None, None, {})
    assert people(project) == [earlier.pk, asha.pk, asha.pk]
    change = ProfileChange.objects.filter(person=asha).order_by("tx_id", "id").last()
    assert change is not None
    assert change.changed == {"Language": "mr", "Phone": "+919800000001"}
    assert (change.identity, change.clevertap_id) == ("asha", "__d2")


def test_within_one_request_the_same_comes_out_as_in_several(project: Project) -> None:
    records = [
        profile(City="Mumbai"),
        on_device("__d2", City="Pune", Language="mr"),
        anonymous("__d2"),
        login("asha", "__d2"),
        on_device("__d2", Language="en"),
        anonymous("__d2"),
        profile("ravi", Email="ravi@example.com"),
        event("ravi@example.com"),
        profile("ravi", Email="new@example.com"),
        event("ravi@example.com"),
        on_device("__d3", Email="new@example.com"),
        login("mia", "__d3"),
    ]
    other = ProjectFactory()
    capture(project, *records)
    for record in records:
        capture(other, record)
    assert described(project) == described(other)
    assert person_of(project, "asha").properties == {"City": "Mumbai", "Language": "en"}
    assert identities(project) == [None, "asha", "asha", "ravi", "ravi@example.com", "mia"]


def described(project: Project) -> Any:
    """All that capture made of a project, without made-up ids, row ids and positions."""
    mine = Person.objects.filter(project=project).order_by("pk")
    names = {person.pk: (place, person) for place, person in enumerate(sorted(mine, key=_first_event))}
    profiles = [
        (person.identity, person.email, person.phone, person.properties, bool(person.merged_into_id)) for person in mine
    ]
    leads = sorted(
        (one.kind, one.value, names[one.person_id][1].identity)
        for one in Identifier.objects.filter(project=project)
        if len(one.value) < 30  # made-up ids are longer
    )
    changes = ProfileChange.objects.filter(project=project).order_by("tx_id", "id")
    log = [(row.identity, row.changed, row.removed) for row in changes]
    return sorted(profiles, key=repr), leads, log, identities(project)


def _first_event(person: Person) -> int:
    return person.pk


def test_email_and_phone_lead_to_whoever_has_them(project: Project) -> None:
    capture(project, profile(Email="Asha@Example.com", Phone="+91 98000 00001"))
    capture(
        project, event("asha@example.com"), event("+919800000001"), event("9800000001"), profile("ASHA@example.com")
    )
    assert identities(project) == ["asha", "asha", "9800000001"]
    assert Person.objects.count() == 2


def test_an_email_leads_no_longer_to_who_gave_it_up(project: Project) -> None:
    capture(project, profile(Email="a@example.com"))
    capture(project, profile(Email="b@example.com"))
    capture(project, event("b@example.com"), event("a@example.com"))
    capture(project, profile(Email=None))
    capture(project, event("b@example.com"))
    assert identities(project) == ["asha", "a@example.com", "b@example.com"]


def test_an_identity_that_is_an_email_goes_before_somebody_with_that_email(project: Project) -> None:
    capture(project, event("a@example.com"))
    capture(project, profile(Email="a@example.com"))
    capture(project, event("a@example.com"))
    assert identities(project) == ["a@example.com"] * 2
    assert Person.objects.count() == 2


def test_who_is_known_by_an_email_only_is_who_logs_in_with_it(project: Project) -> None:
    capture(project, on_device("__d1", Email="a@example.com"))
    capture(project, on_device("__d2", Email="A@example.com", City="Pune"))
    capture(project, profile("asha", Email="a@example.com"), event("asha"), anonymous("__d2"))
    person = Person.objects.get()
    assert (person.identity, person.clevertap_id, person.properties) == ("asha", "__d1", {"City": "Pune"})
    assert identities(project) == ["asha", "asha"]


def test_an_email_never_joins_two_identities(project: Project) -> None:
    capture(project, profile("asha", Email="home@example.com"))
    capture(project, profile("ravi", Email="home@example.com"), event("home@example.com"))
    assert Person.objects.count() == 2
    assert identities(project) == ["asha"]


def test_a_device_goes_to_whoever_its_profile_says(project: Project) -> None:
    capture(project, anonymous("__d1"))
    capture(project, on_device("__d1", Identity=42, Name="Asha"), anonymous("__d1"))
    assert identities(project) == [None, "42"]
    person = Person.objects.get()
    assert (person.identity, person.name, person.properties) == ("42", "Asha", {})


def test_fbid_and_gpid_lead_to_one_person_with_the_identity_that_comes_with_them(project: Project) -> None:
    capture(project, event(None, FBID=1), event(None, GPID=1))
    capture(project, event("asha", FBID=1), event(None, FBID=1), event("1"))
    capture(project, event("asha", GPID="g"), event(None, GPID="g", objectId="__d1"), anonymous("__d1"))
    assert identities(project) == ["1", "1", "asha", "asha", "1", "asha", "asha", "asha"]
    assert Person.objects.count() == 3
    assert person_of(project, "1", "fbid").identity == "asha"
    assert person_of(project, "1", "gpid") != person_of(project, "1", "identity")


def test_a_second_identity_leads_to_the_same_person(project: Project) -> None:
    capture(project, profile("asha", Identity="customer-7"), event("customer-7"), event("asha"))
    assert identities(project) == ["asha", "asha"]
    assert Person.objects.count() == 1


def test_a_device_that_was_merged_twice_belongs_to_the_last(project: Project) -> None:
    capture(project, anonymous("__d1"), on_device("__d2", Email="a@example.com"))
    capture(project, on_device("__d1", Email="a@example.com"))
    capture(project, profile("asha"), login("asha", "__d2"), anonymous("__d1"), anonymous("__d2"))
    assert identities(project) == [None, "asha", "asha", "asha"]
    assert Person.objects.filter(merged_into=person_of(project, "asha")).count() == 2


NAMES = st.sampled_from(["asha", "ravi", "a@example.com"])
DEVICES = st.sampled_from(["__d1", "__d2", "__d3"])
EMAILS = st.sampled_from(["a@example.com", "b@example.com", None])
RECORDS = st.one_of(
    st.builds(event, NAMES),
    st.builds(anonymous, DEVICES),
    st.builds(login, NAMES, DEVICES),
    st.builds(lambda name, email: profile(name, Email=email), NAMES, EMAILS),
    st.builds(lambda device, email: on_device(device, Email=email, City=device), DEVICES, EMAILS),
    st.builds(lambda name, fbid: event(name, FBID=fbid), NAMES, st.sampled_from(["f1", "f2"])),
    st.builds(lambda fbid, device: event(None, FBID=fbid, objectId=device), st.sampled_from(["f1", "f2"]), DEVICES),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS, max_size=12), st.integers(1, 12))
def test_it_does_not_matter_how_records_are_cut_into_requests(records: list[Any], size: int) -> None:
    """Except that a request is one moment: the contacts that somebody gives up in it."""
    whole, cut = ProjectFactory(), ProjectFactory()
    capture(whole, *records)
    for first in range(0, len(records), size):
        capture(cut, *records[first : first + size])
    assert described(whole) == described(cut)
    for project in (whole, cut):
        led = Identifier.objects.filter(project=project, person__merged_into__isnull=False)
        assert not led.exists()
        assert not Person.objects.filter(project=project, merged_into__merged_into__isnull=False).exists()
        assert Event.objects.filter(project=project).count() == sum(one["type"] == "event" for one in records)


def test_contacts_are_found_in_their_indexes(project: Project) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_person (project_id, clevertap_id, email, phone, properties, created_at, changed_at)"
            " SELECT %s, n, n || '@example.com', '+91' || n, '{}', now(), now() FROM generate_series(1, 5000) n",
            [project.pk],
        )
        cursor.execute("ANALYZE events_person")
        cursor.execute("SET LOCAL enable_seqscan = off")
        values = {"project": project.pk, "emails": ["1@EXAMPLE.COM"], "phones": ["+911"]}
        cursor.execute(f"EXPLAIN {FIND_CONTACTS}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "people_by_email" in plan
    assert "people_by_phone" in plan
