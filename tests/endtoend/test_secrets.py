"""No secret of a full run stands in logs, tracebacks, a database dump, Redis, any page, the admin or the REST API."""

import html
import re
import secrets as random
import subprocess
import tempfile
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import psycopg
import pytest
import redis
import requests
from cryptography.fernet import Fernet
from pytest_httpserver import HTTPServer

from amplitude_client.sandbox import Sandbox
from exports_portal.embedded import free_port
from exports_portal.server_programs import postgres_binaries
from tests.endtoend.user import User, shop_events
from tests.portal import RunningPortal

PAGES, ADMIN_PAGES = 12, 2  # whose addresses differ in numbers and queries only
NOT_CRAWLED = ("/logout/", "/static/", "/admin/logout/", "/admin/jsi18n/")


def secret(name: str) -> str:
    """One that nobody can mistake for anything else, and looks like what is given to it: 32 hexadecimal digits."""
    return random.token_hex(16) if name.startswith("api key") else f"s3cret-{random.token_urlsafe(18)}"


class Visitor:
    """Signs in and opens pages; remembers every body that it got, but for those that show a new secret once."""

    def __init__(self, portal: RunningPortal) -> None:
        self.portal, self.session, self.bodies = portal, requests.Session(), dict[str, str]()

    def get(self, path: str, **headers: str) -> requests.Response:
        answer = self.session.get(f"{self.portal.url}{path}", headers=headers, timeout=30)
        self.bodies[f"GET {path} {answer.status_code}"] = answer.text + str(answer.headers)
        return answer

    def post(self, path: str, *, shows_new: bool = False, **form: object) -> requests.Response:
        form |= {"csrfmiddlewaretoken": self.session.cookies.get("csrftoken")}
        answer = self.session.post(
            f"{self.portal.url}{path}", data=form, timeout=60, headers={"Referer": self.portal.url}
        )
        if not shows_new:
            self.bodies[f"POST {path} {answer.status_code}"] = answer.text
        return answer

    def sign_in(self, email: str, password: str) -> requests.Response:
        self.get("/login/")
        return self.post("/login/", username=email, password=password)

    def crawl(self, *starts: str) -> None:
        """Open everything that is linked from the starts, and what that links to; of pages of one kind some."""
        waiting, seen, opened = list(starts), set(starts), Counter[str]()
        while waiting:
            answer = self.get(waiting.pop(0))
            if not answer.headers.get("Content-Type", "").startswith("text/html"):
                continue
            for link in re.findall(r'(?:href|hx-get)="([^"]+)"', answer.text):
                parts = urlsplit(urljoin(answer.url, html.unescape(link)))
                is_admin = parts.path.startswith("/admin/")
                where = parts.path if is_admin or not parts.query else f"{parts.path}?{parts.query}"
                if f"{parts.scheme}://{parts.netloc}" != self.portal.url or where in seen:
                    continue
                seen.add(where)
                kind = re.sub(r"\d+", "#", parts.path)
                if not where.startswith(NOT_CRAWLED) and opened[kind] < (ADMIN_PAGES if is_admin else PAGES):
                    opened[kind] += 1
                    waiting.append(where)


@pytest.fixture(scope="module")
def values() -> dict[str, str]:
    names = ("api key", "api key 2", "api key 3", "password", "wrong password", "wrong passcode", "wrong token")
    names += ("django key", "metrics token", "mail password", "webhook address")
    return {name: secret(name) for name in names} | {"encryption key": Fernet.generate_key().decode()}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


@pytest.fixture(scope="module")
def hook() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1") as server:
        server.expect_request(re.compile(".*")).respond_with_data("no", status=500)
        yield server


@pytest.fixture(scope="module")
def portal(values: dict[str, str], sandbox: Sandbox) -> Iterator[RunningPortal]:
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        environment = {
            "AMPLITUDE_EU_URL": sandbox.eu_url,
            "AMPLITUDE_STANDARD_URL": sandbox.standard_url,
            "DJANGO_SECRET_KEY": values["django key"],
            "PORTAL_ENCRYPTION_KEYS": values["encryption key"],
            "PORTAL_METRICS_TOKEN": values["metrics token"],
            "EMAIL_URL": f"smtp://portal:{values['mail password']}@127.0.0.1:{free_port()}",
            "PORTAL_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "LOG_LEVEL": "DEBUG",
        }
        with RunningPortal(folder, **environment) as running:
            yield running


@pytest.fixture(scope="module")
def visitor(portal: RunningPortal, values: dict[str, str], sandbox: Sandbox, hook: HTTPServer) -> Visitor:
    """After a full run, in which secrets were entered, used, refused, echoed, changed and rotated, and things broke."""
    user, visitor = User(portal), Visitor(portal)
    values |= {"passcode": user.project["passcode"], "api token": user.project["api_token"]}
    account = user.project["account_id"]
    member = ("asha@example.com", "--project", account, "--role", "admin", "--password-stdin")
    assert portal.manage("create_user", *member, stdin=values["password"]).returncode == 0
    with psycopg.connect(portal.addresses["database_url"]) as connection:
        connection.execute("UPDATE projects_user SET is_staff = true, is_superuser = true")
    assert "logout" not in visitor.sign_in("asha@example.com", values["wrong password"]).text
    assert "logout" in visitor.sign_in("asha@example.com", values["password"]).text

    create_credentials(visitor, account, values)
    set_notifications(visitor, account, values, hook)
    deliver(user, visitor, values, sandbox)
    refuse_strangers(portal, account, values)
    break_things(portal, user, visitor, values)
    rotated = portal.manage("rotate_keys")
    assert rotated.returncode == 0, rotated.stderr
    status = portal.manage("status")
    visitor.bodies["commands"] = rotated.stdout + rotated.stderr + status.stdout + status.stderr
    visitor.get("/metrics", Authorization=f"Bearer {values['metrics token']}")
    return visitor


def create_credentials(visitor: Visitor, account: str, values: dict[str, str]) -> None:
    for kind in ("passcode", "api_token"):
        path = f"/{account}/settings/project/credentials/new/"
        shown = visitor.post(path, kind=kind, label="Shop", shows_new=True).text
        values[f"new {kind}"] = shown.split('id="secret-value">')[1].split("<")[0]


def set_notifications(visitor: Visitor, account: str, values: dict[str, str], hook: HTTPServer) -> None:
    path = f"/{account}/settings/notifications/"
    limits = {"rejected_percent": 5, "empty_windows": 3, "lag_minutes": 5}
    visitor.post(path, kinds=["failing", "recovered", "rejected"], emails="ops@example.com", **limits)
    url = hook.url_for(f"/{values['webhook address']}")
    shown = visitor.post(f"{path}webhook/", url=url, shows_new=True).text
    values["webhook secret"] = shown.split('id="secret-value">')[1].split("<")[0]
    assert "A test is on its way" in visitor.post(f"{path}test/").text


def deliver(user: User, visitor: Visitor, values: dict[str, str], sandbox: Sandbox) -> None:
    """Some are rejected; the key is refused and echoed, and mended with another one on the page."""
    user.upload(shop_events(50))
    user.upload([{**record, "identity": "abc", "evtName": "Poison"} for record in shop_events(50)])
    integration = user.integrate(values["api key"])
    user.api("POST", f"integrations/{integration['id']}/test/", expect=200)
    user.wait_for(user.export_last_days(integration), "DONE", seconds=60)
    sandbox.faults({"kind": "invalid_key"})
    waiting = user.export_last_days(integration)
    user.wait_until(lambda: user.api("GET", f"exports/{waiting['id']}/", expect=200)["needs_attention"], seconds=60)
    assert user.api("POST", f"integrations/{integration['id']}/test/", expect=200)["ok"] is False
    sandbox.clear_faults()
    form = {"nickname": "Growth", "api_key": values["api key 2"], "data_residency": "europe"}
    form |= {"device_id_mapping": "clevertap_id", "user_id_mapping": "identity"}
    account = user.project["account_id"]
    visitor.post(f"/{account}/settings/partners/integrations/{integration['id']}/edit/", **form, save="yes")
    user.api("PATCH", f"integrations/{integration['id']}/", expect=200, api_key=values["api key 2"])
    user.wait_for(waiting, "DONE", seconds=60)


def refuse_strangers(portal: RunningPortal, account: str, values: dict[str, str]) -> None:
    headers = {"X-CleverTap-Account-Id": account, "X-CleverTap-Passcode": values["wrong passcode"]}
    assert requests.post(f"{portal.url}/1/upload", json={"d": []}, headers=headers, timeout=30).status_code == 401
    bearer = {"Authorization": f"Bearer {values['wrong token']}"}
    assert requests.get(f"{portal.url}/api/v1/exports/", headers=bearer, timeout=30).status_code == 401


def break_things(portal: RunningPortal, user: User, visitor: Visitor, values: dict[str, str]) -> None:
    """A table is away: the page, the API and the worker that handle secrets right then fail with a traceback."""
    account = user.project["account_id"]
    rename = "ALTER TABLE {} RENAME TO {}"
    with psycopg.connect(portal.addresses["database_url"], autocommit=True) as connection:
        connection.execute(rename.format("common_auditentry", "away"))
        try:
            form = {"nickname": "Broken", "api_key": values["api key 3"], "data_residency": "europe"}
            form |= {"device_id_mapping": "clevertap_id", "user_id_mapping": "identity"}
            assert visitor.post(f"/{account}/settings/partners/amplitude/new/", **form, save="yes").status_code == 500
            answer = user.session.post(
                f"{portal.url}/api/v1/integrations/",
                json={"partner": "amplitude", **form},
                headers={"Authorization": f"Bearer {user.project['api_token']}"},
                timeout=30,
            )
            assert answer.status_code == 500
            visitor.bodies["API 500"] = answer.text
            assert visitor.post("/password/", old_password=values["wrong password"]).status_code == 200
        finally:
            connection.execute(rename.format("away", "common_auditentry"))
        connection.execute(rename.format("exports_rejected", "away"))
        try:
            user.upload([{**record, "identity": "abc"} for record in shop_events(3)])
            (integration, *_) = user.api("GET", "integrations/", expect=200)["results"]
            export = user.export_last_days(integration)
            user.wait_until(lambda: "slice.failed" in portal.output, seconds=60)
        finally:
            connection.execute(rename.format("away", "exports_rejected"))
    user.api("POST", f"exports/{export['id']}/stop/", expect=200)
    user.wait_until(lambda: "request_failed" in portal.output and "notification.retry" in portal.output, seconds=30)


def assert_clean(text: str, values: dict[str, str], where: str) -> None:
    for name, value in values.items():
        shapes = {value, quote(value, safe=""), html.escape(value), b64encode(value.encode()).decode()}
        assert not any(shape in text for shape in shapes), f"the {name} stands in {where}"


def test_the_logs_and_their_tracebacks_have_none(
    portal: RunningPortal, visitor: Visitor, values: dict[str, str]
) -> None:
    log = "\n".join(portal.lines)
    assert log.count("Traceback (most recent call last)") >= 3
    assert "integration.setup_fault" in log
    assert "batch.refused" in log
    assert_clean(log, values, "the log")
    for path in portal.folder.glob("*.log"):
        assert_clean(path.read_text(errors="replace"), values, path.name)


def test_a_dump_of_the_database_has_none(portal: RunningPortal, visitor: Visitor, values: dict[str, str]) -> None:
    command = [postgres_binaries() / "pg_dump", "--inserts", portal.addresses["database_url"]]
    dump = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "INSERT INTO public.partners_integration" in dump
    assert "INSERT INTO public.exports_rejected" in dump
    assert_clean(dump, values, "the database")


def test_redis_has_none(portal: RunningPortal, visitor: Visitor, values: dict[str, str]) -> None:
    with redis.Redis.from_url(portal.addresses["redis_url"]) as connection:
        stored = {key: connection.dump(key) or b"" for key in connection.scan_iter()}
    assert b"portal:timings" in stored
    for key, value in stored.items():
        assert_clean((key + value).decode("latin-1"), values, f"Redis, {key!r}")


def test_no_page_shows_one_the_admin_included(portal: RunningPortal, visitor: Visitor, values: dict[str, str]) -> None:
    visitor.crawl("/", "/admin/", "/api/schema/")
    opened = [where for where in visitor.bodies if where.endswith(" 200")]
    for part in ("/settings/partners/integrations/", "/settings/notifications/", "/admin/partners/integration/",
                 "/admin/notifications/preferences/", "/admin/common/auditentry/", "tab=rejected"):  # fmt: skip
        assert any(part in where for where in opened), f"{part} was not opened; these were: {opened}"
    for where, text in visitor.bodies.items():
        assert_clean(text, values, where)


def test_no_answer_of_the_api_shows_one(portal: RunningPortal, visitor: Visitor, values: dict[str, str]) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {values['api token']}"
    root = f"{portal.url}/api/v1/"
    addresses = [f"{root}integrations/", f"{root}exports/", f"{root}events/"]
    addresses += [f"{root}integrations/{row['id']}/" for row in session.get(addresses[0], timeout=30).json()["results"]]
    for row in session.get(addresses[1], timeout=30).json()["results"]:
        addresses += [f"{root}exports/{row['id']}/", f"{root}exports/{row['id']}/runs/"]
        runs = session.get(addresses[-1], timeout=30).json()["results"]
        addresses += [f"{root}runs/{run['id']}/rejected/" for run in runs]
    for address in addresses:
        answer = session.get(address, timeout=30)
        assert answer.status_code == 200
        assert_clean(answer.text, values, address)
