"""REST: people, as the User profiles page shows them."""

import pytest

from events.models import Identifier
from tests.factories import EventFactory, PersonFactory, ProjectFactory

PROFILES = "/api/v1/profiles/"


@pytest.fixture
def asha(project):
    person = PersonFactory(
        project=project,
        identity="asha",
        email="asha@example.com",
        phone="+919800000000",
        properties={"Plan": "Gold ☕"},
    )
    for kind, value in (("identity", "asha"), ("device", person.clevertap_id), ("fbid", "fb-7")):
        Identifier.objects.create(project=project, kind=kind, value=value, person=person)
    return person


def test_people_are_found_by_a_whole_identifier(api, project, asha):
    other = PersonFactory(project=project, identity="ravi", email="ravi@example.com")
    PersonFactory(identity="asha", email="asha@example.com")  # in another project
    assert [row["id"] for row in api.get(PROFILES).json()["results"]] == [other.pk, asha.pk]
    for value in ("asha", "ASHA@example.com", "%2B919800000000", asha.clevertap_id, "fb-7"):
        answer = api.get(f"{PROFILES}?search={value}").json()
        assert [row["id"] for row in answer["results"]] == [asha.pk], value
    for value in ("ash", "nobody"):
        assert api.get(f"{PROFILES}?search={value}").json()["count"] == 0
    assert api.get(f"{PROFILES}?search=%00").status_code == 200
    assert set(api.get(f"{PROFILES}?searching=asha").json()) == {"searching"}


def test_one_person_is_shown_whole(api, project, asha):
    earlier = PersonFactory(project=project, identity=None, merged_into=asha)
    EventFactory(project=project, person=asha, properties={"Amount": 499})
    EventFactory(project=project)
    shown = api.get(f"{PROFILES}{asha.pk}/").json()
    assert (shown["identity"], shown["properties"]) == ("asha", {"Plan": "Gold ☕"})
    assert {"kind": "fbid", "value": "fb-7"} in shown["identifiers"]
    assert (shown["earlier"], shown["merged_into"]) == ([earlier.pk], None)
    assert [event["properties"] for event in shown["last_events"]] == [{"Amount": 499}]
    assert api.get(f"{PROFILES}{earlier.pk}/").json()["merged_into"] == asha.pk


def test_somebody_of_another_project_is_404(api, asha):
    assert api.get(f"{PROFILES}{PersonFactory(project=ProjectFactory()).pk}/").status_code == 404


def test_the_list_costs_the_same_for_any_length(api, project, asha, django_assert_num_queries):
    api.get(PROFILES)  # its token is noted as used
    for _ in range(2):
        with django_assert_num_queries(4):
            api.get(PROFILES)
        with django_assert_num_queries(5):
            assert api.get(f"{PROFILES}?search=asha").json()["count"] == 1
        PersonFactory.create_batch(12, project=project)
