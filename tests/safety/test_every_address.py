"""Every address of the portal, asked for by everybody: a new one must be entered here, with who may see it and use it.

Each request is undone, so none changes what the next one finds.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone
from rest_framework.test import APIClient

from projects.credentials import create_credential
from projects.models import Credential, Role, User
from tests.factories import (
    API_KEY,
    TESTS,
    MembershipFactory,
    ProjectFactory,
    passcode_for,
    token_for,
)
from tests.safety.conftest import World

EVERYBODY = (Role.VIEWER, Role.MARKETER, Role.ADMIN)
EDITORS = (Role.MARKETER, Role.ADMIN)
ADMINS = (Role.ADMIN,)
LET_IN = {200, 201, 204, 302, 400, 405, 409, 422}
BACKEND = "django.contrib.auth.backends.ModelBackend"


class Page(NamedTuple):
    """Who may open and send it, and what its `pk` is the key of."""

    roles: tuple[Role, ...]
    pk: str = ""


PAGES = {
    "events:event-list": Page(EVERYBODY),
    "events:profile-list": Page(EVERYBODY),
    "events:profile-view": Page(EVERYBODY, "person"),
    "events:schema-discard": Page(ADMINS, "name"),
    "events:schema-list": Page(EVERYBODY),
    "events:schema-name": Page(EVERYBODY, "name"),
    "events:schema-restore": Page(ADMINS, "name"),
    "events:schema-stream": Page(EVERYBODY),
    "exports:export-continue": Page(EDITORS, "export"),
    "exports:export-duplicate": Page(EDITORS, "export"),
    "exports:export-edit": Page(EDITORS, "export"),
    "exports:export-list": Page(EVERYBODY),
    "exports:export-new": Page(EDITORS),
    "exports:export-retry": Page(EDITORS, "export"),
    "exports:export-rows": Page(EVERYBODY),
    "exports:export-run-now": Page(EDITORS, "export"),
    "exports:export-stop": Page(EDITORS, "export"),
    "exports:export-view": Page(EVERYBODY, "export"),
    "exports:rejected-csv": Page(EVERYBODY, "export"),
    "exports:rejected-resend": Page(EDITORS, "export"),
    "notifications:notification-list": Page(EVERYBODY),  # its form is for admins: see FORMS
    "notifications:notification-test": Page(ADMINS),
    "notifications:webhook-edit": Page(ADMINS),
    "notifications:webhook-remove": Page(ADMINS),
    "partners:integration-disconnect": Page(ADMINS, "integration"),
    "partners:integration-edit": Page(ADMINS, "integration"),
    "partners:integration-new": Page(ADMINS),
    "partners:partner-list": Page(EVERYBODY),
    "projects:audit-csv": Page(ADMINS),
    "projects:audit-list": Page(ADMINS),
    "projects:credential-new": Page(ADMINS),
    "projects:credential-revoke": Page(ADMINS, "credential"),
    "projects:invitation-revoke": Page(ADMINS, "invitation"),
    "projects:member-password": Page(ADMINS, "member"),
    "projects:member-remove": Page(ADMINS, "member"),
    "projects:member-role": Page(ADMINS, "member"),
    "projects:project-edit": Page(EVERYBODY),  # its form is for admins: see FORMS
    "projects:team-invite": Page(ADMINS),
    "projects:team-list": Page(EVERYBODY),
    "sources:source-again": Page(ADMINS, "source"),
    "sources:source-edit": Page(ADMINS, "source"),
    "sources:source-list": Page(EVERYBODY),
    "sources:source-new": Page(ADMINS),
    "sources:source-retry": Page(ADMINS, "source"),
    "sources:source-stop": Page(ADMINS, "source"),
    "sources:source-view": Page(EVERYBODY, "source"),
}
FORMS = {
    "projects:project-edit": ADMINS,
    "notifications:notification-list": ADMINS,
}  # pages that more people may open than send

OPEN = {
    "live": "/live",
    "ready": "/ready",
    "metrics": "/metrics",
    "login": "/login/",
    "password-reset": "/password/reset/",
    "password-reset-sent": "/password/reset/sent/",
    "password-reset-confirm": "/password/reset/Mg/x-y/",
    "invitation": "/invitation/x/",
    "api:schema": "/api/schema/",
    "api:docs": "/api/docs/",
    "api:^(?P<path>.*)$": "/api/nothing/",
    "^(?P<path>.*)$": "/1/nothing.json",
    "getSchema": "/getSchema?type=events",
    "admin:login": "/admin/login/",
}
SIGNED_IN = {"home": "/", "logout": "/logout/", "password-change": "/password/"}

NAMED = {"partner": "amplitude", "nickname": "Second", "api_key": API_KEY}
ACCOUNT = {
    "account_id": "KRN-MBL-774Z",
    "passcode": "OLS-ABC-1234-passcode",
    "region": "in1",
    "timezone": "Asia/Kolkata",
    "events": ["App Launched"],
    "date_from": "2026-01-01",
    "date_to": "2026-01-02",
}
PROFILES = {"type": "user_profiles", "frequency": "one_time"}  # with the integration: a valid body of an export


class Call(NamedTuple):
    """Who may make a call of the REST API, which body is a good one, and what its `pk` is the key of."""

    roles: tuple[Role, ...]
    pk: str = ""
    body: dict[str, Any] = {}


API = {
    ("api:integration-list", "get"): Call(EVERYBODY),
    ("api:integration-list", "post"): Call(ADMINS, body=NAMED),
    ("api:integration-detail", "get"): Call(EVERYBODY, "integration"),
    ("api:integration-detail", "patch"): Call(ADMINS, "integration", {"nickname": "Third"}),
    ("api:integration-detail", "delete"): Call(ADMINS, "integration"),
    ("api:integration-test", "post"): Call(ADMINS, "integration"),
    ("api:integration-test-values", "post"): Call(ADMINS, body=NAMED),
    ("api:export-list", "get"): Call(EVERYBODY),
    ("api:export-list", "post"): Call(EDITORS, body=PROFILES),
    ("api:export-detail", "get"): Call(EVERYBODY, "export"),
    ("api:export-detail", "patch"): Call(EDITORS, "export", {"name": "Renamed"}),
    ("api:export-stop", "post"): Call(EDITORS, "export"),
    ("api:export-retry", "post"): Call(EDITORS, "export"),
    ("api:export-run-now", "post"): Call(EDITORS, "export"),
    ("api:export-duplicate", "post"): Call(EDITORS, "export"),
    ("api:export-go-on", "post"): Call(EDITORS, "export"),
    ("api:export-preview", "get"): Call(EVERYBODY, "export"),
    ("api:export-preview-unsaved", "post"): Call(EVERYBODY, body=PROFILES),
    ("api:export-runs", "get"): Call(EVERYBODY, "export"),
    ("api:export-history", "get"): Call(EVERYBODY, "export"),
    ("api:export-rejected", "get"): Call(EVERYBODY, "export"),
    ("api:export-rejected-csv", "get"): Call(EVERYBODY, "export"),
    ("api:export-rejected-resend", "post"): Call(EDITORS, "export", {"reason": "id_too_short"}),
    ("api:run-detail", "get"): Call(EVERYBODY, "run"),
    ("api:run-rejected", "get"): Call(EVERYBODY, "run"),
    ("api:run-skipped", "get"): Call(EVERYBODY, "run"),
    ("api:run-rejected-csv", "get"): Call(EVERYBODY, "run"),
    ("api:run-rejected-resend", "post"): Call(EDITORS, "run", {"reason": "id_too_short"}),
    ("api:event-list", "get"): Call(EVERYBODY),
    ("api:source-list", "get"): Call(EVERYBODY),
    ("api:source-list", "post"): Call(ADMINS, body=ACCOUNT),
    ("api:source-detail", "get"): Call(EVERYBODY, "source"),
    ("api:source-detail", "patch"): Call(ADMINS, "source", {"events": ["App Launched", "Charged"]}),
    ("api:source-stop", "post"): Call(ADMINS, "source"),
    ("api:source-retry", "post"): Call(ADMINS, "source"),
    ("api:source-read-again", "post"): Call(ADMINS, "source"),
    ("api:source-days", "get"): Call(EVERYBODY, "source"),
    ("api:project", "get"): Call(EVERYBODY),
    ("api:project", "patch"): Call(ADMINS, body={"name": "Renamed"}),
    ("api:credential-list", "get"): Call(EVERYBODY),
    ("api:credential-list", "post"): Call(ADMINS, body={"kind": "passcode"}),
    ("api:credential-revoke", "post"): Call(ADMINS, "credential"),
    ("api:credential-rotate", "post"): Call(ADMINS, "credential"),
    ("api:member-list", "get"): Call(EVERYBODY),
    ("api:member-detail", "get"): Call(EVERYBODY, "member"),
    ("api:member-detail", "patch"): Call(ADMINS, "member", {"role": "viewer"}),
    ("api:member-detail", "delete"): Call(ADMINS, "member"),
    ("api:invitation-list", "get"): Call(ADMINS),
    ("api:invitation-list", "post"): Call(ADMINS, body={"email": "new@example.com", "role": "viewer"}),
    ("api:invitation-detail", "delete"): Call(ADMINS, "invitation"),
    ("api:notification-list", "get"): Call(EVERYBODY),
    ("api:notification-preferences", "get"): Call(ADMINS),
    ("api:notification-preferences", "patch"): Call(ADMINS, body={"lag_minutes": 7}),
    ("api:notification-webhook", "put"): Call(ADMINS, body={"url": "https://hooks.example.com/portal"}),
    ("api:notification-webhook", "delete"): Call(ADMINS),
    ("api:notification-test", "post"): Call(ADMINS),
    ("api:profile-list", "get"): Call(EVERYBODY),
    ("api:profile-detail", "get"): Call(EVERYBODY, "person"),
    ("api:audit-list", "get"): Call(ADMINS),
    ("api:audit-csv", "get"): Call(ADMINS),
}


class Route(NamedTuple):
    name: str
    pattern: str
    view: Any


def routes(patterns: Any = None, prefix: str = "", spaces: tuple[str, ...] = ()) -> Iterator[Route]:
    """Every address that Django knows; one without a name goes by its pattern."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        where = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            inner = (*spaces, pattern.namespace) if pattern.namespace else spaces
            yield from routes(pattern.url_patterns, where, inner)
        else:
            yield Route(":".join((*spaces, pattern.name or str(pattern.pattern))), where, pattern.callback)


# CleverTap's API: by passcode only
CAPTURE = [route for route in routes() if route.pattern.startswith("1/") and route.name not in OPEN]
ADMIN = [route for route in routes() if route.pattern.startswith("admin/") and route.name not in OPEN]
REST = [route for route in routes() if route.pattern.startswith("api/v1/")]


def browser(user: User | None = None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user, backend=BACKEND)
    return client


def undone(client: Client, method: str, path: str, body: Any = None, **headers: Any) -> HttpResponse:
    """The answer to a request whose traces in the database are removed."""
    with transaction.atomic():
        answer: HttpResponse = getattr(client, method)(path, body, **headers)
        transaction.set_rollback(True)
    return answer


def asks_to_sign_in(answer: HttpResponse, login: str = "/login/") -> bool:
    return answer.status_code == 302 and answer.headers["Location"].startswith(f"{login}?next=")


def page_path(name: str, page: Page, world: World) -> str:
    (route,) = (route for route in routes() if route.name == name)
    given: dict[str, Any] = {"account_id": world.project.account_id, "partner": "amplitude"}
    if page.pk:
        given["pk"] = world.keys[page.pk]
    return reverse(name, kwargs={key: value for key, value in given.items() if f":{key}>" in route.pattern})


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
            assert answer.headers.get("Location", "/login/").startswith(("/login/", "/admin/")), path
        if route.name != "admin:logout":
            assert undone(root, "get", path).status_code in {*LET_IN, 403, 404}, path
