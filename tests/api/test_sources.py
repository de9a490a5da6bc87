"""Sources over REST."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from exports_portal.common.models import AuditEntry
from projects.models import Project
from sources.models import Pull, Source
from tests.factories import SourceFactory

ADDRESS = "/api/v1/sources/"
PASSCODE = "OLS-ABC-1234-passcode"
DAY = (datetime.now(UTC) - timedelta(days=5)).date()
BODY: dict[str, Any] = {
    "account_id": "ABC-DEF-GHIJ",
    "passcode": PASSCODE,
    "region": "in1",
    "timezone": "Asia/Kolkata",
    "events": ["Charged", " App Launched "],
    "date_from": f"{DAY}",
    "date_to": f"{DAY}",
}


def made(api: APIClient, **changes: Any) -> Any:
    answer = api.post(ADDRESS, {**BODY, **changes})
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_creating_answers_what_will_be_read_and_never_the_passcode(api: APIClient) -> None:
    source = made(api)
    passcode, kept = BODY["passcode"], Source.objects.get(pk=source["id"])
    assert kept.passcode == passcode
    assert {name: source[name] for name in ("events", "date_from", "date_to", "passcode_hint")} == {
        "events": ["Charged", "App Launched"],
        "date_from": BODY["date_from"],
        "date_to": BODY["date_to"],
        "passcode_hint": passcode[-4:],
    }
    assert (source["state"], source["days"], source["days_over"], source["captured"]) == ("RUNNING", 2, 0, 0)
    address = f"{ADDRESS}{source['id']}/"
    answers = [api.get(ADDRESS), api.get(address), api.patch(address, {"passcode": passcode}), api.post(ADDRESS, BODY)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 400]
    assert not any(passcode in answer.content.decode() for answer in answers)


def test_of_a_short_passcode_nothing_is_answered(api: APIClient) -> None:
    assert made(api, passcode="OLS-ABC-1234")["passcode_hint"] == ""
    assert "empty when it has fewer than 16" in " ".join(api.get("/api/schema/").content.decode().split())


def test_without_a_last_day_it_goes_on_and_on(api: APIClient) -> None:
    body = {name: value for name, value in BODY.items() if name != "date_to"}
    assert api.post(ADDRESS, body).json()["date_to"] is None


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"account_id": ""}, "account_id", "Enter the account ID"),
        ({"account_id": "A B"}, "account_id", "looks like"),
        ({"passcode": ""}, "passcode", "Enter a passcode"),
        ({"passcode": None}, "passcode", "null"),
        ({"region": "moon"}, "region", "eu1, in1"),
        ({"timezone": "Moon/Base"}, "timezone", "no time zone"),
        ({"events": []}, "events", "Enter the events"),
        ({"events": ["a\u200bb"]}, "events", "cannot be an event name"),
        ({"events": "Charged"}, "events", "list"),
        ({"date_from": "2026"}, "date_from", "format"),
        ({"date_from": "1999-01-01"}, "date_from", "must lie between"),
        ({"date_to": "2020-01-01"}, "date_to", "before the first"),
        ({"stopped_at": None}, "stopped_at", "no field"),
    ],
)
def test_what_is_wrong_is_named_at_its_field(api: APIClient, changes: dict[str, Any], field: str, words: str) -> None:
    answer = api.post(ADDRESS, {**BODY, **changes})
    assert answer.status_code == 400
    assert words in str(answer.json()[field])
    assert not Source.objects.exists()


def test_an_edit_changes_what_is_given_and_forgets_the_fault(api: APIClient) -> None:
    address = f"{ADDRESS}{made(api)['id']}/"
    Source.objects.update(fault="CleverTap refuses the passcode.")
    answer = api.patch(address, {"events": ["Charged"], "date_to": None}).json()
    assert (answer["events"], answer["date_to"], answer["fault"]) == (["Charged"], None, "")
    assert (answer["region"], Source.objects.get().passcode) == ("in1", PASSCODE)
    assert api.patch(address, {"account_id": "OTHER"}).status_code == 400


def test_the_time_zone_stays_once_events_were_captured(api: APIClient) -> None:
    address = f"{ADDRESS}{made(api)['id']}/"
    Pull.objects.filter(name="Charged").update(read=1, captured=1)
    assert "present time zone" in api.patch(address, {"timezone": "UTC"}).json()["timezone"][0]


def test_days_tell_what_came_of_them(api: APIClient) -> None:
    address = f"{ADDRESS}{made(api)['id']}/"
    Pull.objects.filter(name="Charged").update(state="done", read=7, captured=4, known=2, refused=1)
    days = api.get(f"{address}days/").json()
    assert days["count"] == 2
    charged = next(one for one in days["results"] if one["name"] == "Charged")
    assert charged.items() >= {"day": f"{DAY}", "state": "done", "captured": 4, "known": 2, "refused": 1}.items()
    shown = api.get(address).json()
    assert (shown["days_over"], shown["captured"]) == (1, 4)
    assert api.post(f"{address}read-again/").json()["days_over"] == 0


def test_a_stopped_source_reads_nothing_more(api: APIClient, project: Project) -> None:
    source = made(api)
    address = f"{ADDRESS}{source['id']}/"
    assert api.post(f"{address}retry/").status_code == 200
    for _ in range(2):
        answer = api.post(f"{address}stop/")
        assert (answer.status_code, answer.json()["state"], answer.json()["passcode_hint"]) == (200, "STOPPED", "")
    for refused in (api.post(f"{address}retry/"), api.post(f"{address}read-again/"), api.patch(address, {})):
        assert (refused.status_code, "has been stopped" in refused.json()["detail"]) == (409, True)
    done = AuditEntry.objects.filter(project_id=project.pk, action__startswith="source.").order_by("pk")
    assert list(done.values_list("action", flat=True)) == ["source.create", "source.retry", "source.stop"]


def test_a_list_asks_the_same_few_questions_however_long_it_is(
    api: APIClient, project: Project, django_assert_max_num_queries: Any
) -> None:
    for number in range(4):
        SourceFactory(project=project, account_id=f"ABC-{number}")
    with django_assert_max_num_queries(6):
        answer = api.get(ADDRESS).json()
    assert [one["account_id"] for one in answer["results"]] == ["ABC-3", "ABC-2", "ABC-1", "ABC-0"]
