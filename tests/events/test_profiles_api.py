"""/1/profile.json, delete and demerge over HTTP."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from events.models import Erasure, Event, Person, RefusedUpload
from exports_portal.common.models import AuditEntry
from projects.actions import create_project
from projects.models import Project
from tests.events.capture import capture, event, profile, stored
from tests.factories import TESTS

pytestmark = pytest.mark.django_db(transaction=True)


def get(headers: dict[str, str], **query: str) -> Any:
    return Client().get("/1/profile.json", query, headers=headers)


def post(headers: dict[str, str], url: str, body: Any) -> Any:
    client = Client(enforce_csrf_checks=True)
    return client.post(url, json.dumps(body), content_type="application/json", headers=headers)


def delete(headers: dict[str, str], **body: Any) -> Any:
    return post(headers, "/1/delete/profiles.json", body)


def demerge(headers: dict[str, str], *identities: Any) -> Any:
    return post(headers, "/1/demerge/profiles.json", {"identities": list(identities)})


@pytest.fixture
def asha(project: Project) -> Person:
    """On an Android phone and an iPhone, with contacts, a push token and an FBID."""
    capture(
        project,
        event("asha", objectId="__gphone"),
        event("asha", objectId="-iphone", FBID=77),
        profile(Name="Asha Rao", Email="Asha@example.com", Phone="+919800000001", Plan="Gold ☕", Tags=["a", "b"]),
        {"type": "token", "objectId": "__gphone", "tokenData": {"id": "abc", "type": "fcm"}},
    )
    return Person.objects.get()


def test_a_profile_is_found_by_identity_email_and_each_device(headers: dict[str, str], asha: Person) -> None:
    expected = {
        "status": "success",
        "record": {
            "objectId": "__gphone",
            "identity": "asha",
            "name": "Asha Rao",
            "email": "Asha@example.com",
            "phone": "+919800000001",
            "push_token": "fcm:abc",
            "all_identities": ["77", "asha"],
            "profileData": {"Plan": "Gold ☕", "Tags": ["a", "b"]},
            "events": {},
            "platformInfo": [
                {"platform": "Android", "objectId": "__gphone"},
                {"platform": "iOS", "objectId": "-iphone"},
            ],
        },
    }
    lookups: list[dict[str, str]] = [
        {"identity": "asha"},
        {"email": "asha@EXAMPLE.com"},
        {"objectId": "__gphone"},
        {"objectId": "-iphone"},
    ]
    for query in lookups:
        answer = get(headers, **query)
        assert answer.status_code == 200
        found = answer.json()
        found["record"]["platformInfo"].sort(key=lambda device: device["platform"])
        found["record"]["all_identities"].sort()
        assert found == expected


def test_who_is_not_there_or_elsewhere_is_not_found(headers: dict[str, str], asha: Person) -> None:
    other = create_project(name="Other", timezone="UTC", by=TESTS, now=timezone.now())
    theirs = {"X-CleverTap-Account-Id": other.project.account_id, "X-CleverTap-Passcode": other.passcode}
    for answer in (
        get(theirs, identity="asha"),
        get(headers, identity="nobody"),
        get(headers, identity="a\0b"),
        get(headers, email="__gphone"),
        get(headers, objectId="asha"),
    ):
        assert answer.status_code == 404
        assert (answer.json()["status"], answer.json()["code"]) == ("fail", 404)


@pytest.mark.parametrize("query", [{}, {"identity": ""}, {"phone": "1"}, {"identity": "asha", "email": "a@b.c"}])
def test_one_way_to_find_a_profile_is_asked_for(headers: dict[str, str], query: dict[str, str]) -> None:
    answer = get(headers, **query)
    assert (answer.status_code, answer.json()["error"]) == (400, "Send one of identity, email, objectId.")


def test_deleting_people(project: Project, headers: dict[str, str], asha: Person) -> None:
    capture(project, event("ravi"), event(42), event("mia", objectId="__mia"))
    answer = delete(headers, identity=["asha", 42.0, "nobody", "\ud83d\0"])
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "processed": 2})
    assert delete(headers, guid="__mia").json() == {"status": "success", "processed": 1}
    assert delete(headers, identity="asha").json() == {"status": "success", "processed": 0}
    assert [person.identity for person in Person.objects.all()] == ["ravi"]
    assert get(headers, email="asha@example.com").status_code == 404
    assert get(headers, objectId="__gphone").status_code == 404
    assert Erasure.objects.filter(project=project, finished_at=None).count() == 2
    assert AuditEntry.objects.filter(action="profiles.delete", actor="CleverTap API").count() == 2
    assert "asha" not in str(AuditEntry.objects.values_list("before", "after"))


def test_deleting_reaches_nobody_of_another_project(headers: dict[str, str], asha: Person) -> None:
    other = create_project(name="Other", timezone="UTC", by=TESTS, now=timezone.now())
    theirs = {"X-CleverTap-Account-Id": other.project.account_id, "X-CleverTap-Passcode": other.passcode}
    assert delete(theirs, identity="asha").json()["processed"] == 0
    assert Person.objects.exists()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, 'Send "identity" or "guid"'),
        ({"identity": []}, 'Send "identity" or "guid"'),
        ([], "must be a JSON object"),
        ({"identity": ["a"] * 101}, "101 ids; 100 is the most"),
        ({"identity": [True]}, "must be text or a number"),
        ({"guid": {"a": 1}}, "must be text or a number"),
    ],
)
def test_bad_deletions_are_named_and_delete_nobody(
    headers: dict[str, str], asha: Person, body: Any, error: str
) -> None:
    answer = post(headers, "/1/delete/profiles.json", body)
    assert answer.status_code == 400
    assert error in answer.json()["error"]
    assert Person.objects.exists()


def test_demerging_lets_go_of_devices_and_second_identities(project: Project, headers: dict[str, str]) -> None:
    capture(project, event(None, objectId="__shared"), event("asha", objectId="__own"), event("asha", objectId="__2"))
    capture(project, event("asha", objectId="__shared"), profile("asha", Identity="customer-7"))
    asha, shared = Person.objects.get(identity="asha"), Person.objects.get(clevertap_id="__shared")
    answer = demerge(headers, "customer-7", "nobody").json()
    assert (answer["status"], answer["processed"]) == ("success", 1)
    assert "not given back" in answer["note"]
    shared.refresh_from_db()
    assert shared.merged_into is None
    capture(
        project,
        *(event(None, objectId=device) for device in ("__own", "__shared", "__2")),
        event("asha"),
        event("customer-7"),
    )
    rows = stored(project)[-5:]
    assert [row.person_id for row in rows][:2] == [asha.pk, shared.pk]
    assert rows[3].person_id == asha.pk
    assert [row.identity for row in rows] == ["asha", None, None, "asha", "customer-7"]
    assert Person.objects.count() == 4
    assert Event.objects.filter(person=asha).count() == 5
    assert AuditEntry.objects.filter(action="profile.demerge").count() == 1


def test_demerging_leaves_the_profile_with_the_person_and_gives_fbid_back(
    project: Project, headers: dict[str, str]
) -> None:
    social = {"type": "profile", "FBID": "f", "objectId": "__f", "profileData": {"City": "Pune", "Plan": "Free"}}
    capture(project, profile("asha", Plan="Gold"), social)
    capture(project, event("asha", FBID="f"))
    assert demerge(headers, "asha").json()["processed"] == 1
    asha, earlier = Person.objects.order_by("pk")
    assert (asha.properties, earlier.properties) == ({"Plan": "Gold", "City": "Pune"}, {})
    capture(project, event(None, FBID="f"), event("f"), event(None, objectId="__f"))
    assert [row.person_id for row in stored(project)[-3:]] == [earlier.pk] * 3
    assert demerge(headers, "nobody").json() == {"status": "success", "processed": 0}


def test_demerging_lets_go_of_what_else_came_with_somebody_known_by_fbid(
    project: Project, headers: dict[str, str]
) -> None:
    capture(project, event("asha"), event(None, FBID="f", GPID="g"))
    capture(project, event("asha", FBID="f"))
    assert demerge(headers, "asha").json()["processed"] == 1
    capture(project, event(None, FBID="f", GPID="g"), event(None, GPID="g"), event("asha"))
    assert [row.identity for row in stored(project)[-3:]] == ["f", "f", "asha"]
    assert not Person.objects.exclude(merged_into=None).exists()


def test_who_merged_with_nobody_known_by_fbid_keeps_theirs(project: Project, headers: dict[str, str]) -> None:
    capture(project, event("asha", FBID="f"), event(None, objectId="__d1"), event("asha", objectId="__d1"))
    assert demerge(headers, "asha").json()["processed"] == 1
    capture(project, event(None, FBID="f"))
    assert stored(project)[-1].identity == "asha"


def test_what_leads_to_a_person_for_capture_does_so_for_every_call(project: Project, headers: dict[str, str]) -> None:
    capture(project, event(None, FBID=34322423), event(None, GPID="g-1", objectId="__g"))
    capture(project, profile("bob", Email="bob@ex.com", Phone="+4915112345678"), event("bob@ex.com"))
    for value, identity in (("34322423", "34322423"), ("g-1", "g-1"), ("BOB@ex.com", "bob"), ("+4915112345678", "bob")):
        found = get(headers, identity=value)
        assert (found.status_code, found.json()["record"]["identity"]) == (200, identity)
    assert get(headers, identity="34322423").json()["record"]["all_identities"] == ["34322423"]
    assert demerge(headers, "bob@ex.com").json()["processed"] == 1
    assert delete(headers, identity=[34322423, "+4915112345678", "bob@ex.com"]).json()["processed"] == 2
    assert [person.identity for person in Person.objects.all()] == ["g-1"]
    assert delete(headers, identity="g-1").json()["processed"] == 1


def test_nobody_is_deleted_by_an_email_that_several_share(project: Project, headers: dict[str, str]) -> None:
    capture(project, profile("asha", Email="home@ex.com"), profile("ravi", Email="home@ex.com"), event("mia"))
    assert get(headers, identity="home@ex.com").json()["record"]["identity"] == "asha"
    for call in (lambda: delete(headers, identity=["mia", "home@ex.com"]), lambda: demerge(headers, "home@ex.com")):
        answer = call()
        assert answer.status_code == 400
        assert "Several people share home@ex.com." in answer.json()["error"]
    assert Person.objects.count() == 3


def test_refused_records_of_a_deleted_person_go_however_they_name_them(
    project: Project, headers: dict[str, str]
) -> None:
    capture(project, event(None, objectId="__first"), event("asha", objectId="__d1"))
    capture(
        project,
        event("asha", objectId="__first", FBID=77),
        profile("asha", Identity="customer-7", Email="asha@ex.com", Phone="+91 98000 00001"),
    )
    ways = (
        {"identity": "asha"},
        {"identity": "Asha@EX.com"},
        {"identity": "customer-7"},
        {"objectId": "__d1"},
        {"objectId": "__first"},
        {"FBID": 77},
        {"identity": "ravi", "profileData": {"Email": "asha@ex.com "}},
        {"identity": "ravi", "profileData": {"Phone": 919800000001.0}},
        {"profileData": {"Long": "x" * 5000}, "identity": "asha"},
        {"identity": "never\0 seen"},
    )
    others = ({"identity": "ravi"}, {"identity": "asha2"}, {"FBID": 770}, {"note": "asha \\"})
    refuse = {"d": [{"type": "unknown", **one} for one in (*ways, *others)]}
    assert post(headers, "/1/upload", refuse).json()["processed"] == 0
    assert RefusedUpload.objects.count() == len(ways) + len(others)
    assert delete(headers, identity=["customer-7", "never\0 seen"]).json()["processed"] == 1
    assert RefusedUpload.objects.count() == len(others)


def test_a_demerge_needs_identities(headers: dict[str, str]) -> None:
    assert demerge(headers).status_code == 400
    assert demerge(headers, *["a"] * 101).status_code == 400
