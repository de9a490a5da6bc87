"""Every address of the portal, with who may see it and use it: a new one must be entered here."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from projects.models import Role, User
from tests.factories import API_KEY
from tests.safety.conftest import World

EVERYBODY = (Role.VIEWER, Role.MARKETER, Role.ADMIN)
EDITORS = (Role.MARKETER, Role.ADMIN)
ADMINS = (Role.ADMIN,)
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
    "favicon": "/favicon.ico",
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
    ("api:event-detail", "get"): Call(EVERYBODY, "name"),
    ("api:event-discard", "post"): Call(ADMINS, "name"),
    ("api:event-restore", "post"): Call(ADMINS, "name"),
    ("api:event-stream", "get"): Call(EVERYBODY),
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
    ("api:member-password-link", "post"): Call(ADMINS, "member"),
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


def page_path(name: str, page: Page, world: World) -> str:
    (route,) = (route for route in routes() if route.name == name)
    given: dict[str, Any] = {"account_id": world.project.account_id, "partner": "amplitude"}
    if page.pk:
        given["pk"] = world.keys[page.pk]
    return reverse(name, kwargs={key: value for key, value in given.items() if f":{key}>" in route.pattern})
