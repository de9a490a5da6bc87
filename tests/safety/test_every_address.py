"""Every address of the portal, asked for by everybody. A new one must be entered in tests/safety/addresses.py.

Each request is undone, so none changes what the next one finds.
"""

import re

import pytest
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from projects.credentials import create_credential
from projects.models import Credential, Role
from tests.factories import TESTS, MembershipFactory, ProjectFactory, passcode_for, token_for
from tests.safety.addresses import (
    ADMIN,
    API,
    BACKEND,
    CAPTURE,
    FORMS,
    OPEN,
    PAGES,
    PROFILES,
    REST,
    SIGNED_IN,
    Route,
    browser,
    page_path,
    routes,
    undone,
)
from tests.safety.conftest import World

LET_IN = {200, 201, 204, 302, 400, 405, 409, 422}


def asks_to_sign_in(answer: HttpResponse, login: str = "/login/") -> bool:
    return answer.status_code == 302 and answer.headers["Location"].startswith(f"{login}?next=")


def test_every_address_is_known_here() -> None:
    elsewhere = {route.name for route in (*CAPTURE, *ADMIN, *REST)}
    found = {route.name for route in routes()} - elsewhere
    assert found == {*PAGES, *OPEN, *SIGNED_IN}


def test_every_call_of_the_rest_api_is_known_here() -> None:
    offered = set()
    for route in REST:
        methods = getattr(route.view, "actions", None) or [
            name for name in ("get", "post", "put", "patch", "delete") if hasattr(route.view.view_class, name)
        ]
        offered |= {(route.name, method) for method in methods if method not in ("head", "options")}
    assert offered == set(API)


@pytest.mark.parametrize("method", ["get", "post"])
def test_pages_are_for_the_roles_that_are_named(world: World, method: str) -> None:
    nobody, stranger, root = browser(), browser(world.stranger), browser(world.root)
    members = {role: browser(user) for role, user in world.people.items()}
    wrong = []
    for name, page in PAGES.items():
        path = page_path(name, page, world)
        roles = FORMS.get(name, page.roles) if method == "post" else page.roles
        swap = undone(nobody, method, path, headers={"HX-Request": "true"}).status_code
        checks = [
            asks_to_sign_in(undone(nobody, method, path)),
            swap == 401,
            undone(stranger, method, path).status_code in (404, 405),
            undone(root, method, path).status_code in LET_IN,
        ]
        for role, client in members.items():
            checks.append(undone(client, method, path).status_code in (LET_IN if role in roles else {403, 405}))
        wrong += [] if all(checks) else [(path, checks)]
    assert wrong == []


def test_no_page_shows_what_belongs_to_another_project(world: World) -> None:
    """An admin of both projects puts a key of one into an address of the other."""
    other = ProjectFactory()
    MembershipFactory(project=other, user=world.people[Role.ADMIN], role=Role.ADMIN)
    admin = browser(world.people[Role.ADMIN])
    for name, page in PAGES.items():
        if page.pk:
            path = page_path(name, page, world._replace(project=other))
            assert {undone(admin, method, path).status_code for method in ("get", "post")} <= {404, 405}, path


@pytest.mark.parametrize("name", OPEN)
def test_open_addresses_tell_nothing_of_a_project(world: World, name: str) -> None:
    for method in ("get", "post"):
        answer = undone(browser(), method, OPEN[name])
        assert not asks_to_sign_in(answer)
        assert answer.status_code in {*LET_IN, 403, 404, 503}
        content = b"" if answer.streaming else answer.content
        assert world.project.name.encode() not in content


@pytest.mark.parametrize("name", SIGNED_IN)
def test_the_other_pages_ask_to_sign_in(world: World, name: str) -> None:
    for method in ("get", "post"):
        assert asks_to_sign_in(undone(browser(), method, SIGNED_IN[name]))
        assert undone(browser(world.stranger), method, SIGNED_IN[name]).status_code in LET_IN


def rest(token: str = "") -> APIClient:
    client = APIClient()
    if token:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_calls_are_for_the_tokens_that_are_named(world: World) -> None:
    session = rest()
    session.force_login(world.root, backend=BACKEND)
    shut_out = (rest(), rest("guessed"), rest(passcode_for(world.project)), session)
    token = {"project": world.project, "kind": Credential.Kind.API_TOKEN, "by": TESTS, "now": timezone.now()}
    reading = rest(create_credential(**token, access="read_only")[1])
    full, foreign = rest(token_for(world.project)), rest(token_for(ProjectFactory()))
    wrong = []
    for (name, method), call in API.items():
        path = reverse(name, kwargs={"pk": world.keys[call.pk]} if call.pk else {})
        body = {**call.body, "integration": world.keys["integration"]} if call.body is PROFILES else call.body or None
        elsewhere = undone(foreign, method, path, body)
        checks = [
            *(undone(client, method, path, body).status_code == 401 for client in shut_out),
            undone(reading, method, path, body).status_code in (LET_IN if Role.VIEWER in call.roles else {403}),
            undone(full, method, path, body).status_code in {200, 201, 204, 409},
            elsewhere.status_code in ((404, 400) if call.pk or call.body is PROFILES else LET_IN),
        ]
        if method == "get" and name.endswith("-list"):
            checks.append(not elsewhere.json()["results"] or name in ("api:credential-list", "api:audit-list"))
        wrong += [] if all(checks) else [(method, path, checks)]
    assert wrong == []


@pytest.mark.parametrize("route", CAPTURE, ids=lambda route: route.pattern)
def test_capture_is_for_passcodes_of_the_account(world: World, route: Route) -> None:
    client, own = browser(world.root), world.project.account_id
    for passcode in ("", "guessed", passcode_for(ProjectFactory()), token_for(world.project)):
        headers = {"x-clevertap-account-id": own, "x-clevertap-passcode": passcode}
        what = {"content_type": "application/json", "headers": headers}
        got = undone(client, "get", f"/{route.pattern}", headers=headers).status_code
        posted = undone(client, "post", f"/{route.pattern}", "{}", **what).status_code
        assert {got, posted} in ({401}, {401, 405})


def test_the_admin_is_for_staff(world: World) -> None:
    others = [browser(user) for user in (None, world.people[Role.ADMIN])]
    root = browser(world.root)
    for route in ADMIN:
        path = "/" + re.sub(r"<[^>]+>|\(\?P.*", "1", route.pattern)
        for client in others:
            answer = undone(client, "get", path)
            assert answer.status_code in (302, 403), path
            assert answer.headers.get("Location", "/login/").startswith(("/login/", "/admin/", "/password/")), path
        if route.name != "admin:logout":
            assert undone(root, "get", path).status_code in {*LET_IN, 403, 404}, path
