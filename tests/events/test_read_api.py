"""/1/events.json and /1/counts/…: the two steps, pages, filters, days and codes that CleverTap's clients know."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from events.ingest import ingest
from events.models import Event
from exports_portal.common.slots import slot
from projects.actions import create_project
from projects.models import Project
from tests.events.capture import event, profile
from tests.events.rows import name_in, writer
from tests.factories import TESTS, passcode_for

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/1/events.json"
NOON = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)  # 12:00 in India
DAY = {"event_name": "Product Viewed", "from": 20261120, "to": 20261120}


class Reader:
    """Asks as CleverTap's clients do."""

    def __init__(self, project: Project) -> None:
        self.headers = {"X-CleverTap-Account-Id": project.account_id, "X-CleverTap-Passcode": passcode_for(project)}

    def post(self, url: str, body: Any) -> Any:
        return self.answer(Client().post(url, json.dumps(body), content_type="application/json", headers=self.headers))

    def get(self, url: str, **query: Any) -> Any:
        return self.answer(Client().get(url, query, headers=self.headers))

    def answer(self, response: Any) -> Any:
        assert response.headers["Content-Type"] == "application/json;charset=utf-8"
        return response.json()

    def cursor(self, url: str = URL, **query: Any) -> str:
        answer = self.post(url, {**DAY, **query})
        assert answer["status"] == "success", answer
        return str(answer["cursor"])

    def page(self, cursor: str) -> Any:
        return self.get(URL, cursor=cursor)

    def walk(self, url: str = URL, **query: Any) -> list[list[Any]]:
        """The records of each page."""
        pages = [self.page(self.cursor(url, **query))]
        while "next_cursor" in pages[-1]:
            pages.append(self.page(pages[-1]["next_cursor"]))
        return [page["records"] for page in pages]

    def found(self, **query: Any) -> list[Any]:
        """The property n of each event that matches."""
        return [record["event_props"].get("n") for page in self.walk(**query) for record in page]


@pytest.fixture
def project() -> Project:
    return create_project(name="Shop", timezone="Asia/Kolkata", by=TESTS, now=timezone.now()).project


@pytest.fixture
def reader(project: Project) -> Reader:
    return Reader(project)


def store(project: Project, *records: Any, now: datetime = NOON) -> None:
    assert ingest(project=project, records=records, now=now).refused == []


def at(moment: datetime, **data: Any) -> dict[str, Any]:
    return event(ts=int(moment.timestamp()), data=data)


def test_the_two_steps(project: Project, reader: Reader) -> None:
    told = {"Name": "Asha", "Email": "asha@example.com", "Phone": "+919812345678", "Plan": "Gold"}
    store(project, profile(**told), event(objectId="__g1", data={"Price": 499, "City": "पुणे", "Tags": ["a"]}))
    asked = reader.post(f"{URL}?batch_size=50", DAY)
    assert set(asked) == {"cursor", "status"}
    answer = reader.get(URL, cursor=asked["cursor"])
    assert answer == {
        "status": "success",
        "records": [
            {
                "profile": {
                    "objectId": "__g1",
                    "identity": "asha",
                    "name": "Asha",
                    "email": "asha@example.com",
                    "phone": "+919812345678",
                    "profileData": {"Plan": "Gold"},
                    "events": {},
                },
                "ts": 20261120120000,
                "event_props": {"Price": 499, "City": "पुणे", "Tags": ["a"]},
            }
        ],
    }


def test_the_form_of_the_first_clients(project: Project, reader: Reader) -> None:
    store(project, event(data={"n": 1}), event(data={"n": 2}))
    legacy = {**DAY, "from": "20261120", "props": [{"name": "n", "operator": "equals", "value": "2"}]}
    cursor = reader.get(URL, query=json.dumps(legacy), batch_size=10)["cursor"]
    records = reader.post(f"{URL}?cursor={cursor}", {})["records"]  # some post the cursor
    assert [record["event_props"] for record in records] == [{"n": 2}]


def test_pages_end_without_a_cursor_of_any_kind(project: Project, reader: Reader) -> None:
    store(project, *(event(data={"n": n}) for n in range(7)))
    pages = reader.walk(f"{URL}?batch_size=3")
    assert [[record["event_props"]["n"] for record in page] for page in pages] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [len(page) for page in reader.walk(f"{URL}?batch_size=7")] == [7]
    assert [len(page) for page in reader.walk(f"{URL}?batch_size=50000")] == [7]
    last = reader.page(reader.cursor())
    assert set(last) == {"status", "records"}


def test_a_cursor_may_be_encoded_once_more_and_used_again(project: Project, reader: Reader) -> None:
    store(project, event(data={"n": 1}))
    cursor = reader.cursor()
    assert quote(cursor, safe="") == cursor
    assert reader.page(cursor) == reader.page(cursor)


def test_what_comes_in_during_a_walk_is_in_none_of_its_pages(project: Project, reader: Reader) -> None:
    store(project, *(event(data={"n": n}) for n in range(4)))
    first = reader.page(reader.cursor(f"{URL}?batch_size=2"))
    store(project, event(data={"n": "late"}))
    rest = reader.page(first["next_cursor"])
    assert [record["event_props"]["n"] for record in first["records"] + rest["records"]] == [0, 1, 2, 3]
    assert "next_cursor" not in rest


def test_days_are_those_of_the_project_and_inclusive(project: Project, reader: Reader) -> None:
    midnight = datetime(2026, 11, 19, 18, 30, tzinfo=UTC)
    second, day = timedelta(seconds=1), timedelta(days=1)
    for place, moment in enumerate((midnight - second, midnight, midnight + day - second, midnight + day)):
        store(project, at(moment, n=place), now=NOON + 2 * day)
    assert reader.found() == [1, 2]
    assert reader.found(**{"from": 20261119, "to": 20261121}) == [0, 1, 2, 3]
    assert [record["ts"] for record in reader.walk()[0]] == [20261120000000, 20261120235959]


def test_events_of_one_second_and_out_of_order_come_once(project: Project, reader: Reader) -> None:
    for n in range(6):
        store(project, at(NOON - timedelta(seconds=n % 3), n=n))
    pages = reader.walk(f"{URL}?batch_size=1")
    assert [record["event_props"]["n"] for page in pages for record in page] == [2, 5, 1, 4, 0, 3]


FILTERS = [
    ("n", "equals", 2, [2]),
    ("n", "equals", "2", [2]),
    ("n", "equals", [1, 3], [1, 3]),
    ("n", "not_equals", 2, [1, 3]),
    ("n", "gt", 1, [2, 3]),
    ("n", "gte", "2", [2, 3]),
    ("n", "lt", 2.5, [1, 2]),
    ("n", "lte", 2, [1, 2]),
    ("city", "contains", "ne", [1]),
    ("city", "contains", "u", [1, 2]),
    ("city", "not_contains", "u", [3]),
    ("city", "contains", "%", [3]),
    ("city", "equals", "Pune", [1]),
    ("city", "gt", 0, []),
    ("new", "exists", None, [3]),
    ("new", "not_exists", None, [1, 2]),
    ("new", "equals", True, [3]),
    ("new", "equals", "true", [3]),
]


def test_filters_on_event_properties(project: Project, reader: Reader) -> None:
    rows = ({"n": 1, "city": "Pune"}, {"n": 2, "city": "Surat, u_x"}, {"n": 3, "city": "5% Delhi", "new": True})
    store(project, *(event(data=data) for data in rows))
    for name, operator, value, expected in FILTERS:
        found = reader.found(event_properties=[{"name": name, "operator": operator, "value": value}])
        assert found == expected, (name, operator, value)


def test_all_filters_must_hold_and_pages_go_on_behind_what_does_not_match(project: Project, reader: Reader) -> None:
    store(project, *(event(data={"n": n, "even": n % 2 == 0}) for n in range(20)))
    wanted = [{"name": "even", "operator": "equals", "value": True}, {"name": "n", "operator": "gt", "value": 9}]
    pages = reader.walk(f"{URL}?batch_size=2", event_properties=wanted)
    assert [[record["event_props"]["n"] for record in page] for page in pages] == [[10, 12], [14, 16], [18]]


UNANSWERABLE: list[tuple[dict[str, Any], str]] = [
    ({"event_name": None}, "event_name is missing."),
    ({"event_name": 7}, "event_name is missing."),
    ({"from": "2026-11-20"}, '"from" must be a day like 20261231.'),
    ({"to": 20261131}, '"to" must be a day like 20261231.'),
    ({"to": None}, '"to" must be a day like 20261231.'),
    ({"from": 20261121}, '"from" lies after "to".'),
    ({"common_profile_properties": {}}, "There is no filter common_profile_properties here."),
    ({"event_properties": {"n": 1}}, "event_properties must be a list"),
    ({"event_properties": [{"operator": "gt"}]}, "A filter of event_properties must be like"),
    ({"event_properties": [{"name": "n", "operator": "like", "value": 1}]}, "There is no operator like."),
    ({"event_properties": [{"name": "n", "operator": "gt", "value": "many"}]}, "The filter on n compares numbers"),
    ({"event_properties": [{"name": "n", "operator": "equals", "value": {}}]}, "The filter on n needs a value"),
]


def test_a_question_that_cannot_be_answered_says_why(project: Project, reader: Reader) -> None:
    store(project, event())
    for url in (URL, "/1/counts/events.json", "/1/counts/profiles.json"):
        for change, error in UNANSWERABLE:
            answer = reader.post(url, {**DAY, **change})
            assert (answer["status"], answer["code"]) == ("fail", 400)
            assert error in answer["error"]


def test_an_unknown_event_is_named_as_clevertap_does(reader: Reader) -> None:
    assert reader.post(URL, {**DAY, "event_name": "Uninstalled"}) == {
        "status": "fail",
        "error": '["Invalid event : Uninstalled"]',
        "code": 400,
    }


def test_a_broken_body_or_batch_size_is_400(project: Project, reader: Reader) -> None:
    store(project, event())
    broken = Client().post(URL, b'{"event_name"', content_type="application/json", headers=reader.headers)
    assert (broken.status_code, broken.json()["code"]) == (400, 400)
    assert reader.get(URL)["code"] == 400
    assert reader.get(URL, query="[")["code"] == 400
    assert reader.post(f"{URL}?batch_size=many", DAY)["error"] == "batch_size must be a number from 1 to 5000."


def test_a_cursor_that_is_none_is_code_3(project: Project, reader: Reader) -> None:
    store(project, event())
    cursor = reader.cursor()
    other = Reader(create_project(name="Other", timezone="UTC", by=TESTS, now=timezone.now()).project)
    for asker, odd in ((reader, "abc"), (reader, ""), (reader, cursor[:-1]), (reader, f"x{cursor}"), (other, cursor)):
        answer = asker.page(odd)
        assert (answer["status"], answer["code"]) == ("fail", 3)
        assert answer["error"].startswith("Incorrect Usage.")


def test_cursors_die_after_an_hour_without_a_call_and_walks_after_four(project: Project, reader: Reader) -> None:
    began = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    with time_machine.travel(began, tick=False) as clock:
        store(project, *(event(data={"n": n}) for n in range(9)))
        first = cursor = reader.cursor(f"{URL}?batch_size=1")
        for _ in range(4):
            clock.shift(timedelta(minutes=59))
            cursor = reader.page(cursor)["next_cursor"]
        assert "not been used for an hour" in reader.page(first)["error"]
        clock.shift(timedelta(minutes=5))
        answer = reader.page(cursor)
        assert (answer["code"], "four hours old" in answer["error"]) == (3, True)


def test_a_page_waits_for_an_upload_that_began_before_the_walk(project: Project, reader: Reader) -> None:
    name = name_in(project)
    with writer() as late:
        late.event(name, at=NOON)
        store(project, event(data={"n": 1}))
        cursor = reader.cursor()
        assert reader.page(cursor) == {
            "status": "fail",
            "error": "Request still in progress, please retry later",
            "code": 2,
        }
        late.raw.commit()
    assert len(reader.page(cursor)["records"]) == 2


def test_more_than_three_at_once_are_throttled(project: Project, reader: Reader) -> None:
    store(project, event())
    cursor = reader.cursor()
    kind = f"read:{project.account_id}"
    with slot(kind, 3), slot(kind, 3), slot(kind, 3):
        asked = Client().post(URL, json.dumps(DAY), content_type="application/json", headers=reader.headers)
        assert (asked.status_code, asked.json()["code"]) == (200, 1)
        page = Client().get(URL, {"cursor": cursor}, headers=reader.headers)
        assert (page.status_code, page.json()["error"]) == (429, "Too many concurrent requests")
    assert reader.page(cursor)["status"] == "success"


def test_device_fields_and_custom_properties_come_when_they_are_wanted(project: Project, reader: Reader) -> None:
    device = {"app_version": "2.1", "os_version": 14, "model": "Pixel", "make": "Google", "platform": "Android"}
    names = ("CT App Version", "CT OS Version", "Model", "Make", "Platform")
    store(project, profile(Plan="Gold"), event(data=dict(zip(names, device.values(), strict=True))))
    [[whole]] = reader.walk(f"{URL}?app=true&profile=true")
    assert whole["profile"].items() >= device.items()
    assert whole["profile"]["profileData"] == {"Plan": "Gold"}
    [[little]] = reader.walk(f"{URL}?profile=false&events=false")
    assert set(little["profile"]) == {"objectId", "identity"}


@pytest.mark.parametrize("name", ["Make", "Platform"])
def test_a_device_field_comes_without_the_others(project: Project, reader: Reader, name: str) -> None:
    store(project, event(data={name: "Google"}))
    [[record]] = reader.walk(f"{URL}?app=true")
    assert record["profile"][name.lower()] == "Google"


def test_session_properties_of_a_visit_stand_apart(project: Project, reader: Reader) -> None:
    store(project, event(name="UTM Visited", data={"utm_source": "google", "Install": "y"}))
    [[record]] = reader.walk(event_name="UTM Visited")
    assert (record["session_props"], record["event_props"]) == ({"utm_source": "google"}, {"Install": "y"})


def test_events_of_somebody_who_was_deleted_are_still_read(project: Project, reader: Reader) -> None:
    store(project, event(objectId="__g1"))
    Event.objects.update(person_id=0)
    [[record]] = reader.walk()
    assert record["profile"] == {"objectId": "__g1", "identity": "asha"}


def test_what_somebody_did_before_the_login_is_theirs(project: Project, reader: Reader) -> None:
    store(project, profile("asha", Name="Asha"), event("asha", objectId="__phone"))
    store(project, event(None, objectId="__tablet"))
    store(project, event("asha", objectId="__tablet"))
    profiles = [record["profile"] for record in reader.walk()[0]]
    assert [one["objectId"] for one in profiles] == ["__phone", "__tablet", "__tablet"]
    assert {(one["identity"], one["name"]) for one in profiles} == {("asha", "Asha")}
    assert reader.post("/1/counts/profiles.json", DAY)["count"] == 1


def test_counts(project: Project, reader: Reader) -> None:
    store(project, event(data={"n": 1}), event(data={"n": 2}), event("ravi", data={"n": 2}), event(name="Other"))
    two = {**DAY, "event_properties": [{"name": "n", "operator": "gte", "value": 2}]}
    for query, events, people in ((DAY, 3, 2), (two, 2, 2), ({**DAY, "from": 20261101, "to": 20261119}, 0, 0)):
        assert reader.post("/1/counts/events.json", query) == {"status": "success", "count": events}
        assert reader.get("/1/counts/profiles.json", query=json.dumps(query)) == {"status": "success", "count": people}
    assert reader.get("/1/counts/events.json", req_id=123)["error"] == "Invalid request id"


def test_what_is_not_offered_says_so(project: Project, reader: Reader) -> None:
    for path in ("targets/create.json", "now.json", "", "events.json/", "\N{SNOWMAN}"):
        for response in (
            Client().get(f"/1/{path}"),
            Client().post(f"/1/{path}", b"{}", content_type="application/json"),
        ):
            assert response.status_code == 404
            assert (response.json()["status"], response.json()["code"]) == ("fail", 404)
            assert "is not offered by this portal" in response.json()["error"]


def test_no_question_leaves_its_project(project: Project, reader: Reader) -> None:
    other = create_project(name="Other", timezone="Asia/Kolkata", by=TESTS, now=timezone.now()).project
    store(other, event(data={"n": "theirs"}))
    store(project, event(data={"n": "ours"}))
    assert reader.found() == ["ours"]
    assert reader.post("/1/counts/events.json", DAY)["count"] == 1
    assert Client().post(URL, DAY).status_code == 401
