"""Bodies that no serializer expects, and faults of our own: below /api/ the answer is JSON, whatever happens."""

import json
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse
from rest_framework.test import APIClient

from tests.factories import token_for
from tests.safety.addresses import API
from tests.safety.conftest import World

SENDING = [key for key in API if key[1] in ("post", "patch", "put")]


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


@pytest.mark.django_db
@pytest.mark.parametrize("depth", [50, 600, 900, 3_000])
def test_a_body_that_is_nested_deeply_is_refused_in_json(world: World, depth: int) -> None:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_for(world.project)}")
    wrong = []
    for name, method in SENDING:
        call = API[name, method]
        path = reverse(name, kwargs={"pk": world.keys[call.pk]} if call.pk else {})
        for body in (nested(depth, "[", "]"), *(f'{{"{field}": {nested(depth, "[", "]")}}}' for field in call.body)):
            answer = getattr(client, method)(path, body, content_type="application/json")
            if answer.status_code >= 500 or not answer.headers.get("Content-Type", "application/json").endswith("json"):
                wrong.append((path, body[:20], answer.status_code))
    assert wrong == []
    answer = client.post("/api/v1/exports/", nested(3_000, "[", "]"), content_type="application/json")
    assert (answer.status_code, answer.json()) == (400, {"detail": "The JSON is nested too deeply."})


def fault(path: str) -> Any:
    """The answer to a request that broke an expectation of ours."""
    request: HttpRequest = RequestFactory().get(path)
    return get_resolver().resolve_error_handler(500)(request)


def test_a_fault_of_ours_is_told_in_the_shape_of_its_face() -> None:
    rest, capture, page = fault("/api/v1/exports/"), fault("/1/upload"), fault("/x/events/")
    assert [answer.status_code for answer in (rest, capture, page)] == [500, 500, 500]
    assert list(json.loads(rest.content)) == ["detail"]
    assert json.loads(capture.content)["status"] == "fail"
    assert "Something broke on our side" in page.content.decode()


def test_browsers_find_an_icon_for_every_page() -> None:
    assert Client().get("/favicon.ico").headers["Location"] == "/static/favicon.svg"
