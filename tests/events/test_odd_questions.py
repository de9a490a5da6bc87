"""Odd questions to CleverTap's read API, and odd values that it must hand out: JSON always, never a fault of ours."""

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.property_filters import CONDITIONS
from projects.models import Project
from tests.events.capture import NOW, capture, event, profile
from tests.fuzz.records import ODD_NUMBERS, ODD_TEXTS

pytestmark = pytest.mark.django_db(transaction=True)
DAY = {"event_name": "Product Viewed", "from": 20261120, "to": 20261120}
QUESTIONS = ("/1/events.json", "/1/counts/events.json", "/1/counts/profiles.json", "/1/profiles.json")
LARGE = 100_000_000_000_000_000_000  # 1e20: jsonb writes it in digits, past what 64 bits hold


def ask(headers: dict[str, str], url: str, body: Any) -> Any:
    return Client().post(url, json.dumps(body), content_type="application/json", headers=headers)


def page(headers: dict[str, str], url: str, body: Any) -> Any:
    cursor = ask(headers, url, body).json()["cursor"]
    return Client().get(url.partition("?")[0], {"cursor": cursor}, headers=headers).json()["records"]


def test_numbers_beyond_64_bits_are_read_like_others(project: Project, headers: dict[str, str]) -> None:
    capture(project, profile(Score=1e20, Points=1), event("asha", data={"CT OS Version": 1e20, "n": 1e20}))
    capture(project, profile(Points={"$incr": 1e308}))
    found = Client().get("/1/profile.json", {"identity": "asha"}, headers=headers).json()["record"]
    assert found["profileData"] == {"Score": LARGE, "Points": pytest.approx(1e308)}
    assert page(headers, "/1/profiles.json", {})[0]["profileData"] == found["profileData"]
    (record,) = page(headers, "/1/events.json?app=true", DAY)
    assert (record["profile"]["os_version"], record["event_props"]["n"]) == (LARGE, LARGE)


@pytest.mark.parametrize("url", QUESTIONS)
@pytest.mark.parametrize(
    ("odd", "error"),
    [
        ({"to": 99991231}, '"to" must be a day from 00010102 to 99991230.'),
        ({"from": "00010101"}, '"from" must be a day from 00010102 to 99991230.'),
        ({"\ud800": 1}, "There is no filter \ud800 here."),
        ({"event_properties": [{"name": "n", "operator": "\ud800"}]}, "There is no operator \ud800."),
        ({"event_properties": [{"name": "n", "operator": "gt", "value": "1e400000"}]}, "compares numbers"),
        ({"event_properties": [{"name": "n", "operator": "gt", "value": "9" * 400}]}, "compares numbers"),
    ],
)
def test_what_cannot_be_asked_is_named(
    project: Project, headers: dict[str, str], url: str, odd: dict[str, Any], error: str
) -> None:
    capture(project, event("asha", data={"n": 1}))
    answer = ask(headers, url, {**DAY, **odd})
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    assert error in answer.json()["error"]


def test_names_that_are_no_text_are_unknown(project: Project, headers: dict[str, str]) -> None:
    capture(project, event("asha"))
    answer = ask(headers, "/1/events.json", {**DAY, "event_name": "\ud800"})
    assert (answer.status_code, answer.json()["code"]) == (200, 400)
    assert "Invalid event : \ud800" in answer.json()["error"]


@pytest.mark.parametrize(
    ("one", "count"),
    [
        ({"name": "\ud800", "operator": "exists"}, 1),  # such a key was stored with ? in its place
        ({"name": "a", "operator": "contains", "value": "\ud800"}, 1),
        ({"name": "a", "operator": "equals", "value": "x\ud800"}, 1),
        ({"name": "a", "operator": "equals", "value": ["1e400000", "1e-400000", "9" * 400]}, 0),
        ({"name": "n", "operator": "equals", "value": "5e0"}, 1),
        ({"name": "n", "operator": "gt", "value": "1e-400000"}, 1),
    ],
)
def test_odd_values_are_compared_as_they_were_stored(
    project: Project, headers: dict[str, str], one: dict[str, Any], count: int
) -> None:
    capture(project, event("asha", data={"\ud800": 1, "a": "x\ud800", "n": 5}))
    answer = ask(headers, "/1/counts/events.json", {**DAY, "event_properties": [one]})
    assert answer.json() == {"status": "success", "count": count}


@pytest.mark.parametrize("url", ["/getSchema?type=events", "/1/now.json", "/1/", "/1/targets/create.json"])
def test_what_is_not_offered_says_so_in_json(headers: dict[str, str], url: str) -> None:
    answer = ask(headers, url, {})
    assert (answer.status_code, answer.json()["status"]) == (404, "fail")
    assert answer.json()["error"].startswith(f"{url.partition('?')[0]} is not offered")


_texts = st.text(max_size=8) | st.sampled_from((*ODD_TEXTS, "n", "Product Viewed", "1e400000"))
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | _texts | st.sampled_from(ODD_NUMBERS)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3), max_leaves=6
)
_days = st.sampled_from((20261120, "20261120", 99991230, 99991231, "00010101", "00010102", 0, -1, 20261301)) | _values
_filter = st.fixed_dictionaries(
    {"name": _texts}, optional={"operator": st.sampled_from(tuple(CONDITIONS)) | _texts, "value": _values}
)
_question = st.fixed_dictionaries(
    {},
    optional={
        "event_name": st.just("Product Viewed") | _values,
        "from": _days,
        "to": _days,
        "event_properties": st.lists(_filter, max_size=3) | _values,
        "props": _values,
        "identity": _values,
        "guid": _values,
        "identities": _values,
    },
)
_likely = st.fixed_dictionaries(
    {**{key: st.just(value) for key, value in DAY.items()}, "event_properties": st.lists(_filter, max_size=3)}
)
_query = st.dictionaries(
    st.sampled_from(("cursor", "query", "batch_size", "app", "profile", "req_id", "identity", "email", "objectId")),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    max_size=2,
)
_calls = st.sampled_from((*QUESTIONS, "/1/profile.json", "/1/delete/profiles.json", "/1/demerge/profiles.json"))


@settings(
    max_examples=250,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(url=_calls, body=_likely | _question | _values, query=_query, by_post=st.booleans())
def test_no_question_is_a_fault_of_ours(
    project: Project, headers: dict[str, str], url: str, body: Any, query: dict[str, str], by_post: bool
) -> None:
    capture(project, event("asha", data={"n": 1e20}), profile("asha", Score=1e20), now=NOW)
    client = Client()
    if by_post:
        answer = client.post(
            url, json.dumps(body), content_type="application/json", headers=headers, query_params=query
        )
    else:
        answer = client.get(url, {"query": json.dumps(body), **query}, headers=headers)
    assert answer.status_code in (200, 400, 404, 405), answer.content
    found = answer.json()
    assert found["status"] in ("success", "fail")
    if "cursor" in found:
        answer = client.get(url, {"cursor": found["cursor"]}, headers=headers)
        assert answer.json()["status"] == "success"
