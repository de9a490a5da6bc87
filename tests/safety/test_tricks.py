"""What attackers try: scripts in what is stored and what is asked for, forms from elsewhere, formulas, forged headers
and log lines, paths that climb, addresses inside our network.
"""

import csv
import io
import logging
import re
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from exports_portal.common.audit import Actor
from exports_portal.common.files import csv_chunks, safe_cell
from exports_portal.common.htmx import go_to
from exports_portal.logging import logging_settings
from partners.models import Integration
from projects.models import Credential, Project, Role, User
from projects.team import invite
from tests.factories import (
    API_KEY,
    PASSWORD,
    EventFactory,
    EventNameFactory,
    ExportFactory,
    IntegrationFactory,
    MembershipFactory,
    PersonFactory,
    ProjectFactory,
    RejectedFactory,
    RunFactory,
    UserFactory,
    token_for,
)
from tests.safety.addresses import BACKEND, PAGES, browser, page_path, undone

SCRIPT = "<script>alert(1)</script>"
BREAKOUT = "\"'><img src=x onerror=alert(1)>{{7777*7777}}"
EVIL = f"{BREAKOUT}{SCRIPT}"
RAW = re.compile(rb"<script>alert|<img src=x|60481729")


@pytest.fixture
def painted(db: Any) -> tuple[Project, Client]:
    """A project in which every text that somebody may choose is a script, and an admin's browser."""
    project = ProjectFactory(name=EVIL)
    root = UserFactory(superuser=True, first_name=SCRIPT, last_name=BREAKOUT)
    integration = IntegrationFactory(project=project, nickname=EVIL, setup_fault=EVIL, test_message=EVIL)
    export = ExportFactory(
        project=project, integration=integration, name=EVIL, recurring=True, needs_attention=True, last_error=EVIL,
        events="selected", selected_events=[EVIL], excluded_properties=[EVIL], running=True,
    )  # fmt: skip
    run = RunFactory(export=export, running=True, last_error=EVIL, counts={"rejected": 1})
    RejectedFactory(run=run, reason=EVIL[:32], field=EVIL[:32], message=EVIL, cure=EVIL, payload=f'{{"a": "{SCRIPT}"}}')
    person = PersonFactory(project=project, identity=EVIL, name=EVIL, email=EVIL, properties={EVIL: EVIL})
    EventFactory(
        project=project,
        person=person,
        name=EventNameFactory(project=project, name=EVIL),
        properties={EVIL: [EVIL, {EVIL: SCRIPT}]},
    )
    Credential.objects.filter(pk=token_and_key(project)).update(label=EVIL[:80])
    MembershipFactory(project=project, user=UserFactory(first_name=SCRIPT), role=Role.VIEWER)
    return project, browser(root)


def token_and_key(project: Project) -> int:
    token_for(project)
    return project.credentials.latest("pk").pk


def test_no_page_runs_a_stored_script(painted: tuple[Project, Client]) -> None:
    project, root = painted
    export = project.exports.get()
    keys = {
        "person": project.people.latest("pk").pk,
        "export": export.pk,
        "integration": export.integration_id,
        "credential": project.credentials.get().pk,
        "member": project.memberships.get().pk,
    }
    seen = 0
    for name, page in PAGES.items():
        if page.pk and page.pk not in keys:
            continue
        path = page_path(name, page, WorldOf(project, keys))
        tails = ("?tab=rejected", "?tab=skipped", "?tab=payload", "?tab=settings", "?tab=history", "")
        for tail in tails if name == "exports:export-view" else ("",):
            for headers in ({}, {"HX-Request": "true"}):
                answer = root.get(f"{path}{tail}", headers=headers)
                if answer.status_code == 200 and not answer.streaming:
                    assert not RAW.search(answer.content), path
                    seen += b"&lt;script&gt;alert(1)" in answer.content
    assert seen > 20  # the texts were there


class WorldOf:
    """What page_path asks for."""

    def __init__(self, project: Project, keys: dict[str, int]) -> None:
        self.project, self.keys = project, keys


def test_no_page_of_the_admin_runs_a_stored_script(painted: tuple[Project, Client]) -> None:
    _, root = painted
    seen = 0
    for model in admin.site._registry:
        row = model._default_manager.order_by("-pk").first()
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages = [reverse(f"{base}_changelist"), *([reverse(f"{base}_change", args=[row.pk])] if row else [])]
        for path in pages:
            answer = root.get(path)
            assert not RAW.search(answer.content), path
            seen += b"&lt;script&gt;" in answer.content
    assert seen > 10


@pytest.mark.parametrize(
    "path",
    [
        "/{account}/events/?search={evil}",
        "/{account}/profiles/?search={evil}&before={evil}",
        "/{account}/settings/partners/?search={evil}",
        "/{account}/settings/partners/exports/?search={evil}&status={evil}&ordering={evil}&page={evil}&exported_on_after={evil}",
        "/{account}/settings/partners/exports/?{evil}={evil}",
        "/{account}/settings/partners/exports/new/{evil}/",
        "/{evil}/events/",
        "/admin/exports/export/?q={evil}",
        "/admin/{evil}/",
        "/login/?next={evil}",
        "/invitation/{evil}/",
        "/api/{evil}",
        "/api/v1/exports/?{evil}={evil}",
    ],
)
def test_no_answer_runs_a_script_of_its_address(painted: tuple[Project, Client], path: str) -> None:
    project, root = painted
    answer = root.get(path.format(account=project.account_id, evil=quote(EVIL, safe="")))
    assert answer.status_code < 500
    assert not RAW.search(answer.content) or answer["Content-Type"].startswith("application/json")
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_no_form_runs_a_script_that_it_refuses(painted: tuple[Project, Client]) -> None:
    project, root = painted
    base = f"/{project.account_id}/settings"
    for path, body in (
        (f"{base}/project/", {"name": EVIL * 10, "timezone": EVIL}),
        (f"{base}/project/credentials/new/", {"kind": EVIL, "label": EVIL * 10}),
        (f"{base}/team/invite/", {"email": EVIL, "role": EVIL}),
        (f"{base}/partners/amplitude/new/", {"nickname": EVIL * 10, "api_key": EVIL, "data_residency": EVIL}),
        (f"{base}/partners/exports/new/amplitude/", {"name": EVIL * 10, "frequency": EVIL, "export": "1"}),
        ("/login/", {"username": EVIL, "password": EVIL, "next": EVIL}),
    ):
        answer = (browser() if path == "/login/" else root).post(path, body)
        assert answer.status_code in (200, 422)
        assert not RAW.search(answer.content), path


def test_no_page_may_be_framed_sniffed_or_scripted_from_elsewhere(world: Any) -> None:
    root = browser(world.root)
    for path in ("/login/", "/admin/", f"/{world.project.account_id}/events/", "/nowhere/"):
        answer = root.get(path)
        policy = answer["Content-Security-Policy"]
        for directive in ("default-src 'self'", "object-src 'none'", "frame-ancestors 'none'", "form-action 'self'"):
            assert directive in policy
        assert "unsafe" not in policy
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert {"private", "no-store"} & set(answer["Cache-Control"].split(", "))


def test_no_form_is_taken_from_another_site(world: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.root, backend=BACKEND)
    for name, page in PAGES.items():
        answer = undone(client, "post", page_path(name, page, world))
        assert answer.status_code in (403, 405), name
    assert undone(client, "post", "/logout/").status_code == 403
    assert undone(client, "post", "/login/", {"username": world.root.email, "password": PASSWORD}).status_code == 403


def test_signing_in_begins_a_new_session_and_signing_out_ends_it(db: Any) -> None:
    user = MembershipFactory().user
    client = Client()
    client.get("/login/")
    planted = client.session
    planted["planted"] = True
    planted.save()
    before = planted.session_key
    client.post("/login/", {"username": user.email, "password": PASSWORD})
    cookie = client.cookies["sessionid"]
    assert cookie.value != before
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    client.post("/logout/")
    other = Client()
    other.cookies["sessionid"] = cookie.value
    assert other.get("/password/").status_code == 302


ELSEWHERE = ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_in_leads_nowhere_else(db: Any, target: str) -> None:
    user = UserFactory()
    answer = Client().post("/login/", {"username": user.email, "password": PASSWORD, "next": target})
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize("htmx", [False, True])
def test_no_redirect_carries_a_header(rf: Any, htmx: bool) -> None:
    request = rf.get("/")
    request.htmx = htmx
    headers = dict(go_to(request, "/a\r\nSet-Cookie: a=b").items())
    assert "Set-Cookie" not in headers
    assert not any("\r" in value or "\n" in value for value in headers.values())


@pytest.mark.parametrize("host", ["evil.example", "localhost@evil.example", "localhost\r\nX: y"])
def test_links_are_made_for_our_own_names_only(db: Any, host: str) -> None:
    user = UserFactory()
    answer = Client(HTTP_HOST=host).post("/password/reset/", {"email": user.email})
    assert answer.status_code == 400


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1＋1", '=HYPERLINK("http://evil")']


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_is_a_formula(formula: str) -> None:
    assert safe_cell(formula) == f"'{formula}"
    (line,) = list(csv.reader(io.StringIO("".join(csv_chunks(("a",), [[[formula]]])), newline="")))[1:]
    assert line == [f"'{formula}"]


@pytest.mark.parametrize("value", ["Café", "1-2", "a=b", "", 5, None, '{"a": 1}'])
def test_other_cells_stay_as_they_are(value: Any) -> None:
    assert safe_cell(value) == value


def test_files_have_names_of_ours(world: Any) -> None:
    root = browser(world.root)
    path = page_path("exports:rejected-csv", PAGES["exports:rejected-csv"], world)
    answer = root.get(f"{path}?reason=a%22%0d%0aX-Evil:%20yes")
    assert answer["Content-Disposition"] == f'attachment; filename="rejected-export-{world.keys["export"]}.csv"'
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize("text", ["a\n2026-01-01T00:00:00Z info export.stopped by=root", "a\r\x1b[2Jb", "a\u2028b"])
def test_no_value_forges_a_line_of_the_log(text: str) -> None:
    written = io.StringIO()
    settings = logging_settings(log_format="console")
    formatter = settings["formatters"]["line"]
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter.pop("()")(**formatter))
    for message in ({"event": "request_finished", "request": f"GET /{text}"}, text):
        handler.emit(logging.LogRecord("django", logging.INFO, "", 1, message, (), None))
    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    assert "\x1b" not in written.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        "/static/../manage.py",
        "/static/%2e%2e/manage.py",
        "/static/..%2f..%2fetc/passwd",
        "/static//etc/passwd",
        "/static/css/%00",
        "/static/....//....//etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/static/..\\..\\manage.py",
        "/%2e%2e/%2e%2e/etc/passwd/",
    ],
)
def test_no_path_climbs_out(world: Any, path: str) -> None:
    for client in (browser(), browser(world.root)):
        answer = client.get(path)
        assert answer.status_code in (301, 302, 400, 404)
        assert b"root:" not in answer.content


INSIDE = ["http://169.254.169.254/", "http://127.0.0.1:5432", "file:///etc/passwd", "//localhost", "europe\r\nHost: x"]


@pytest.mark.parametrize("address", INSIDE)
def test_nobody_chooses_where_the_portal_sends_to(world: Any, address: str) -> None:
    client = Client(headers={"Authorization": f"Bearer {token_for(world.project)}"})
    good = {"partner": "amplitude", "nickname": "Inside", "api_key": API_KEY}
    for changes in ({"data_residency": address}, {"base_url": address}, {"settings": {"data_residency": address}}):
        for path in ("/api/v1/integrations/", "/api/v1/integrations/test/"):
            answer = client.post(path, {**good, **changes}, content_type="application/json")
            assert (answer.status_code, set(answer.json())) == (400, set(changes))
    form = f"/{world.project.account_id}/settings/partners/amplitude/new/"
    assert browser(world.root).post(form, {**good, "data_residency": address}).status_code == 422
    assert Integration.objects.count() == 1


def test_an_invited_admin_cannot_be_somebody_else(world: Any) -> None:
    """The link of an invitation gives no way into an account that exists."""
    victim: User = world.root
    _, link, _ = invite(
        project=world.project, email=victim.email, role="viewer", by=Actor(None, "tests"), now=timezone.now()
    )
    answer = Client().post(link, {"password": "a much better passphrase", "again": "a much better passphrase"})
    assert answer.headers["Location"].startswith("/login/")
    victim.refresh_from_db()
    assert victim.check_password(PASSWORD)
