"""Integrations over REST."""

import json

import pytest

from partners.models import Integration
from tests.factories import API_KEY, ExportFactory, IntegrationFactory

ADDRESS = "/api/v1/integrations/"
BODY = {"partner": "amplitude", "nickname": "Europe", "api_key": API_KEY}
SHAPE = {
    "id",
    "partner",
    "nickname",
    "key_hint",
    "data_residency",
    "device_id_mapping",
    "user_id_mapping",
    "active_exports",
    "tested_at",
    "test_ok",
    "test_message",
    "setup_fault",
    "setup_fault_at",
    "paused_until",
    "created_at",
    "updated_at",
}


def test_creating_takes_the_defaults_and_never_answers_the_key(api, project):
    answer = api.post(ADDRESS, BODY)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert set(body) == SHAPE
    assert body["data_residency"] == "europe"
    assert body["device_id_mapping"] == "clevertap_id"
    assert body["user_id_mapping"] == "identity"
    assert body["key_hint"] == API_KEY[-4:]
    assert API_KEY not in answer.content.decode()
    assert Integration.objects.get(pk=body["id"]).secrets == {"api_key": API_KEY}


@pytest.mark.parametrize(("key", "hint"), [("key", ""), ("secret", "t"), ("0123456789abcdef", "cdef")])
def test_the_hint_never_gives_a_short_key_away(api, key, hint):
    assert api.post(ADDRESS, {**BODY, "api_key": key}).json()["key_hint"] == hint


def test_a_nickname_is_one_line(api):
    assert api.post(ADDRESS, {**BODY, "nickname": " Shop\n\tEurope "}).json()["nickname"] == "Shop Europe"


def test_no_answer_holds_the_key(api):
    pk = api.post(ADDRESS, BODY).json()["id"]
    answers = [
        api.get(ADDRESS),
        api.get(f"{ADDRESS}{pk}/"),
        api.patch(f"{ADDRESS}{pk}/", {"api_key": API_KEY, "nickname": ""}),
        api.patch(f"{ADDRESS}{pk}/", {"api_key": API_KEY}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 200]
    assert not any(API_KEY in answer.content.decode() for answer in answers)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"api_key": "3f9c 1e07"}, "api_key", "spaces"),
        ({"api_key": f" {API_KEY}"}, "api_key", "spaces"),
        ({"api_key": ""}, "api_key", "Enter the API key"),
        ({"api_key": None}, "api_key", "null"),
        ({"nickname": ""}, "nickname", "Enter a Partner Nickname"),
        ({"nickname": "   "}, "nickname", "Enter a Partner Nickname"),
        ({"nickname": "x" * 81}, "nickname", "80"),
        ({"nickname": "a\0b"}, "nickname", "Null characters"),
        ({"data_residency": "moon"}, "data_residency", "europe, standard"),
        ({"data_residency": ""}, "data_residency", "blank"),
        ({"device_id_mapping": "idfa"}, "device_id_mapping", "clevertap_id, none"),
        ({"user_id_mapping": 5}, "user_id_mapping", "identity, email, phone"),
        ({"partner": "mixpanel"}, "partner", "amplitude"),
        ({"colour": "red"}, "colour", "no field with this name"),
        ({"secrets": {"api_key": "x"}}, "secrets", "no field with this name"),
    ],
)
def test_bad_input_is_400_at_its_field_and_nothing_is_saved(api, changes, field, words):
    answer = api.post(ADDRESS, {**BODY, **changes})
    assert answer.status_code == 400
    errors = answer.json()
    assert set(errors) == {field}
    assert words in errors[field][0]
    assert not Integration.objects.exists()


def test_all_that_is_wrong_is_told_at_once(api, project):
    IntegrationFactory(project=project, nickname="Europe")
    errors = api.post(ADDRESS, {**BODY, "api_key": "a b", "data_residency": "moon"}).json()
    assert set(errors) == {"nickname", "api_key", "data_residency"}


@pytest.mark.parametrize("missing", ["partner", "nickname", "api_key"])
def test_what_is_required_is_said_at_its_field(api, missing):
    answer = api.post(ADDRESS, {name: value for name, value in BODY.items() if name != missing})
    assert answer.status_code == 400
    assert set(answer.json()) == {missing}


@pytest.mark.parametrize("body", ["{", "[1]", '"text"', "null", ""])
def test_broken_bodies_are_400(api, body):
    answer = api.post(ADDRESS, body, content_type="application/json")
    assert answer.status_code == 400
    assert isinstance(answer.json(), dict)


def test_a_nickname_is_unique_in_its_project_whatever_its_case(api, project):
    IntegrationFactory(project=project, nickname="EUROPE")
    answer = api.post(ADDRESS, BODY)
    assert answer.status_code == 400
    assert "is taken" in answer.json()["nickname"][0]


def test_a_nickname_of_another_project_is_free(api):
    IntegrationFactory(nickname="Europe")
    assert api.post(ADDRESS, BODY).status_code == 201


def test_editing_keeps_what_is_left_out_the_key_too(api, project):
    row = IntegrationFactory(project=project)
    answer = api.patch(f"{ADDRESS}{row.pk}/", {"data_residency": "standard"})
    assert answer.status_code == 200
    row.refresh_from_db()
    assert row.settings["data_residency"] == answer.json()["data_residency"] == "standard"
    assert row.settings["user_id_mapping"] == "identity"
    assert row.secrets == {"api_key": API_KEY}


@pytest.mark.parametrize("changes", [{"partner": "amplitude"}, {"key_hint": "aaaa"}, {"id": 5}])
def test_editing_what_cannot_be_edited_is_400_never_ignored(api, project, changes):
    row = IntegrationFactory(project=project)
    answer = api.patch(f"{ADDRESS}{row.pk}/", changes)
    assert answer.status_code == 400
    assert set(answer.json()) == set(changes)


def test_deleting_disconnects_and_forgets_the_key(api, project):
    row = IntegrationFactory(project=project)
    assert api.delete(f"{ADDRESS}{row.pk}/").status_code == 204
    row.refresh_from_db()
    assert row.secrets == {}
    assert api.get(f"{ADDRESS}{row.pk}/").status_code == 404
    assert api.get(ADDRESS).json()["count"] == 0


def test_deleting_is_409_while_exports_are_active(api, project):
    export = ExportFactory(project=project, recurring=True)
    answer = api.delete(f"{ADDRESS}{export.integration_id}/")
    assert answer.status_code == 409
    assert "Stop them first" in answer.json()["detail"]
    assert api.get(f"{ADDRESS}{export.integration_id}/").json()["active_exports"] == 1


def test_the_answer_is_json_with_a_list_envelope(api, project):
    IntegrationFactory.create_batch(2, project=project)
    body = json.loads(api.get(ADDRESS).content)
    assert set(body) == {"count", "next", "previous", "results"}
    assert body["count"] == 2
    assert body["results"][0]["id"] > body["results"][1]["id"]
