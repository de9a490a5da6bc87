"""Who is who: identities, devices, FBID and GPID, email and phone lead to one person, from then on. Real commits."""

import re
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.models import Event, Identifier, Person, ProfileChange
from events.people_rows import FIND_CONTACTS
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


def profile_on(identity: str, device: str, **data: Any) -> dict[str, Any]:
    return {**profile(identity, **data), "objectId": device}


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


@pytest.mark.parametrize("email", ["asha@straße.de", "asha@ﬀ.example.com", "asha@ıstanbul.example.com"])
def test_an_email_with_letters_that_have_no_capital_of_their_own_leads_to_its_person(
    project: Project, email: str
) -> None:
    capture(project, profile(Email=email))
    capture(project, event(email))
    assert identities(project) == ["asha"]


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
    assert identities(project) == ["1", "1", "asha", "asha", "asha", "asha", "asha", "asha"]
    assert Person.objects.count() == 2
    assert person_of(project, "1", "fbid").identity == "asha"
    assert person_of(project, "1", "gpid") != person_of(project, "1", "fbid") == person_of(project, "1", "identity")


def test_who_is_shown_under_fbid_or_gpid_is_found_by_that_as_identity(project: Project) -> None:
    capture(project, event(None, FBID=34322423), event("34322423"), event("g"), event(None, GPID="g"))
    assert people(project)[0] == people(project)[1] == person_of(project, "34322423", "identity").pk
    assert people(project)[2] == person_of(project, "g", "identity").pk != people(project)[3]  # it was somebody's
    assert identities(project) == ["34322423", "34322423", "g", "g"]


def test_a_record_with_both_joins_those_whom_only_fbid_and_gpid_name(project: Project) -> None:
    capture(project, {"type": "profile", "FBID": "f", "profileData": {"City": "Pune"}})
    capture(project, {"type": "profile", "GPID": "g", "profileData": {"City": "Goa", "Language": "kok"}})
    by_gpid = person_of(project, "g", "gpid")
    capture(project, {"type": "profile", "FBID": "f", "GPID": "g", "profileData": {"Plan": "Gold"}})
    capture(project, event(None, GPID="g"), event("f"), event("g"))
    person = person_of(project, "f", "fbid")
    assert person.properties == {"City": "Pune", "Language": "kok", "Plan": "Gold"}
    assert people(project) == [person.pk] * 3
    by_gpid.refresh_from_db()
    assert (by_gpid.merged_into, by_gpid.properties) == (person, {})
    log = ProfileChange.objects.filter(person=person).order_by("tx_id", "id").values_list("changed", flat=True)
    assert list(log) == [{"City": "Pune"}, {"Language": "kok"}, {"Plan": "Gold"}]


def test_who_has_an_identity_stays_when_fbid_and_gpid_meet(project: Project) -> None:
    capture(project, event(None, FBID="f"), event("asha", GPID="g"), event("ravi", GPID="r"))
    capture(project, event(None, FBID="f", GPID="g"), event(None, FBID="f"))
    assert identities(project)[3:] == ["asha", "asha"]
    capture(project, event("asha", GPID="r"), event(None, GPID="r"))  # two with identities are never one
    assert identities(project)[5:] == ["asha", "ravi"]


def test_a_known_identity_takes_over_whom_only_fbid_names(project: Project) -> None:
    capture(project, event("asha"), event(None, FBID="f", objectId="__d1"))
    capture(project, event("asha", FBID="f"), anonymous("__d1"), event(None, FBID="f"), event("f"))
    assert identities(project) == ["asha", "f", "asha", "asha", "asha", "asha"]


def test_a_refused_update_names_and_joins_nobody(project: Project) -> None:
    capture(project, on_device("__d1", Tag="text"), event("asha"))
    bad = {"Tag": {"$incr": 1}}
    refused = capture(
        project,
        {"type": "profile", "identity": "reflogin", "objectId": "__d1", "profileData": bad},
        {"type": "profile", "identity": "new", "profileData": {"Tag": {"$set": ["a"]}, "Email": "a@example.com"}},
        {"type": "profile", "identity": "new", "profileData": {"Tag": {"$incr": 1}, "Email": "p1@example.com"}},
        event("p1@example.com"),
        {"type": "profile", "identity": "stranger", "FBID": "f", "profileData": {"Tag": {"$set": [{}]}}},
        {"type": "profile", "identity": "stranger", "profileData": {f"k{number}": 1 for number in range(257)}},
        profile("asha", Tag="text"),
        {"type": "profile", "identity": "asha", "objectId": "__d1", "profileData": bad},
    ).refused
    assert [(one.index, one.code) for one in refused] == [(0, 512), (2, 512), (4, 512), (5, 522), (7, 512)]
    assert person_of(project, "__d1").identity is None
    assert not Identifier.objects.filter(value__in=["reflogin", "stranger", "f"]).exists()
    assert person_of(project, "new").email == "a@example.com"
    assert person_of(project, "p1@example.com") != person_of(project, "new")
    assert not Person.objects.exclude(merged_into=None).exists()
    assert sorted(str(one.identity) for one in Person.objects.all()) == ["None", "asha", "new", "p1@example.com"]


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
FBIDS, GPIDS = st.sampled_from(["f1", "f2"]), st.sampled_from(["g1", "g2"])
EMAILS = st.sampled_from(["a@example.com", "b@example.com", None])
RECORDS = st.one_of(
    st.builds(event, NAMES),
    st.builds(anonymous, DEVICES),
    st.builds(login, NAMES, DEVICES),
    st.builds(lambda name, email: profile(name, Email=email), NAMES, EMAILS),
    st.builds(lambda device, email: on_device(device, Email=email, City=device), DEVICES, EMAILS),
    st.builds(lambda name, fbid: event(name, FBID=fbid), NAMES, FBIDS),
    st.builds(lambda fbid, device: event(None, FBID=fbid, objectId=device), FBIDS, DEVICES),
    st.builds(lambda fbid, gpid: event(None, FBID=fbid, GPID=gpid), FBIDS, GPIDS),
    st.builds(lambda name, gpid: event(name, GPID=gpid), st.sampled_from(["asha", "f1", "g1"]), GPIDS),
    st.builds(lambda name, device: profile_on(name, device, City={"$incr": 1}), NAMES, DEVICES),
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
        contacts = {"emails": [f"{n}@Example.com" for n in range(1000)], "phones": [f"+91{n}" for n in range(1000)]}
        values = {"project": project.pk, **contacts}
        cursor.execute(f"EXPLAIN {FIND_CONTACTS}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert re.search(r"people_by_email on .*\n *Index Cond: .*upper\(w\S*\.email\)", plan)
    assert re.search(r"people_by_phone on .*\n *Index Cond: .*w\S*\.phone", plan)
