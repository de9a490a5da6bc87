"""/1/profiles.json: two steps, pages, who is in them, and cursors that are no good."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from events.models import Person
from projects.actions import create_project
from projects.models import Project
from tests.events.capture import NOW, capture, event, profile
from tests.factories import TESTS, passcode_for

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/1/profiles.json"
DAY = {"event_name": "Product Viewed", "from": 20261120, "to": 20261120}


@pytest.fixture
def project() -> Project:
    return create_project(name="Shop", timezone="Asia/Kolkata", by=TESTS, now=timezone.now()).project


@pytest.fixture
def headers(project: Project) -> dict[str, str]:
    return {"X-CleverTap-Account-Id": project.account_id, "X-CleverTap-Passcode": passcode_for(project)}


def ask(headers: dict[str, str], body: Any, url: str = URL) -> Any:
    return Client().post(url, json.dumps(body), content_type="application/json", headers=headers).json()


def page(headers: dict[str, str], cursor: str) -> Any:
    return Client().get(URL, {"cursor": cursor}, headers=headers).json()


def walk(headers: dict[str, str], body: Any, batch_size: int = 50) -> list[list[str | None]]:
    """The identities of each page."""
    answer = ask(headers, body, f"{URL}?batch_size={batch_size}")
    assert answer["status"] == "success", answer
    cursor, pages = answer["cursor"], []
    while cursor:
        found = page(headers, cursor)
        pages.append([record.get("identity") for record in found["records"]])
        assert found.get("next_cursor") != ""
        cursor = found.get("next_cursor")
    return pages


def test_everybody_comes_once_in_pages_and_nobody_who_comes_later(project: Project, headers: dict[str, str]) -> None:
    capture(project, *(profile(f"person-{number}", Plan="Gold") for number in range(7)))
    cursor = ask(headers, {}, f"{URL}?batch_size=3")["cursor"]
    capture(project, profile("late"))
    pages, names = [], []
    while cursor:
        pages.append(page(headers, cursor))
        names += [record["identity"] for record in pages[-1]["records"]]
        cursor = pages[-1].get("next_cursor")
    assert names == [f"person-{number}" for number in range(7)]
    assert [len(one["records"]) for one in pages] == [3, 3, 1]
    assert "next_cursor" not in pages[-1]
    assert pages[0]["records"][0]["profileData"] == {"Plan": "Gold"}


def test_those_who_have_an_event_on_the_days(project: Project, headers: dict[str, str]) -> None:
    capture(project, event("asha", data={"Price": 5}), event("ravi", data={"Price": 50}), event("mia", "Searched"))
    capture(project, event("kim", ts=int((NOW - timedelta(days=1)).timestamp())), event(None, objectId="__2"))
    capture(project, event("asha", objectId="__2"))
    assert walk(headers, DAY) == [["asha", "ravi"]]
    assert walk(headers, DAY, batch_size=1) == [["asha"], ["ravi"]]
    assert walk(headers, {**DAY, "from": 20261119}) == [["asha", "ravi", "kim"]]
    cheap = {"event_properties": [{"name": "Price", "operator": "lt", "value": 10}]}
    assert walk(headers, {**DAY, **cheap}) == [["asha"]]
    assert Person.objects.count() == 5


def test_a_question_may_stand_in_the_address(project: Project, headers: dict[str, str]) -> None:
    capture(project, event())
    url = f"{URL}?query={quote(json.dumps(DAY))}&batch_size=10"
    cursor = Client().get(url, headers=headers).json()["cursor"]
    found = Client().post(f"{URL}?cursor={quote(cursor)}", headers=headers).json()
    assert [record["identity"] for record in found["records"]] == ["asha"]


def test_a_project_without_people_has_one_empty_page(headers: dict[str, str]) -> None:
    assert walk(headers, {}) == [[]]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"from": 20261120}, "event_name is missing; without one, from cannot be applied."),
        ({**DAY, "from": "soon"}, '"from" must be a day'),
        ({**DAY, "country": "IN"}, "There is no filter country here"),
        ([], "must be a JSON object"),
    ],
)
def test_what_is_not_offered_is_named(headers: dict[str, str], project: Project, body: Any, error: str) -> None:
    capture(project, event())
    answer = ask(headers, body)
    assert (answer["status"], answer["code"]) == ("fail", 400)
    assert error in answer["error"]


def test_cursors_that_are_no_good_have_code_3(project: Project, headers: dict[str, str]) -> None:
    capture(project, event())
    other = create_project(name="Other", timezone="UTC", by=TESTS, now=timezone.now())
    theirs = {"X-CleverTap-Account-Id": other.project.account_id, "X-CleverTap-Passcode": other.passcode}
    cursor = ask(headers, {})["cursor"]
    events_cursor = ask(headers, DAY, "/1/events.json")["cursor"]
    for answer in (page(headers, "x"), page(headers, f"{cursor}x"), page(theirs, cursor), page(headers, events_cursor)):
        assert (answer["status"], answer["code"]) == ("fail", 3)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=3), tick=False):
        assert page(headers, cursor)["status"] == "success"
    with time_machine.travel(datetime.now(UTC) + timedelta(days=5), tick=False):
        assert "has not been used for 4 days" in page(headers, cursor)["error"]
