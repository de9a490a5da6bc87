"""Clients that stall in the middle of a body leave threads to others, and a project has 15 uploads at once."""

import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
import requests
from django.db import connection, transaction

from events.models import Event
from events.people import lock
from exports_portal import processes
from exports_portal.embedded import free_port
from projects.models import Project
from tests.events.capture import event
from tests.factories import ProjectFactory, passcode_for
from tests.portal import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 20  # for an answer; whoever stalls has three times as long


@pytest.fixture(scope="module")
def web(django_db_setup: None) -> Iterator[str]:
    """gunicorn with the portal's settings, on the database of the tests."""
    port = free_port()
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    ours = {
        "DJANGO_SETTINGS_MODULE": "exports_portal.settings",
        "DATABASE_URL": urlunsplit(database),
        "PORTAL_REQUEST_SECONDS": str(3 * SECONDS),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:exports_portal.gunicorn_conf"]
    process = processes.spawn([*command, "--bind", f"127.0.0.1:{port}"], env=os.environ | ours)
    try:
        wait_until(lambda: is_live(f"http://127.0.0.1:{port}"))
        yield f"http://127.0.0.1:{port}"
    finally:
        processes.end(process)


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


def headers(project: Project) -> dict[str, str]:
    return {"X-CleverTap-Account-Id": project.account_id, "X-CleverTap-Passcode": passcode_for(project)}


def is_live(web: str) -> bool:
    try:
        return requests.get(f"{web}/live", timeout=SECONDS).ok
    except requests.ConnectionError:
        return False


def upload(web: str, who: dict[str, str]) -> requests.Response:
    return requests.post(f"{web}/1/upload", json={"d": [event("new")]}, headers=who, timeout=3 * SECONDS)


@contextmanager
def stalled(web: str, path: str, fields: dict[str, str], count: int) -> Iterator[list[socket.socket]]:
    """Clients that have sent the head of a request and the first byte of its body."""
    address = urlsplit(web)
    fields = {"Host": "localhost", "Content-Length": "100", **fields}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    clients = []
    try:
        for _ in range(count):
            clients.append(client := socket.create_connection((address.hostname, address.port)))
            client.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n{{".encode())
        yield clients
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("path", ["/1/upload", "/login/"])
@pytest.mark.parametrize("are_known", [True, False])
def test_bodies_that_stall_hold_up_nobody_else(web: str, project: Project, path: str, are_known: bool) -> None:
    fields = headers(project) if are_known else {}
    with stalled(web, path, fields, 40):
        assert is_live(web)
        assert upload(web, headers(ProjectFactory())).status_code == 200
        assert is_live(web)


def test_the_sixteenth_upload_at_once_is_429(web: str, project: Project) -> None:
    """The others wait for the people of the project, as they have somebody new."""
    who = headers(project)
    with ThreadPoolExecutor(15) as clients:
        with transaction.atomic(), closing(redis.Redis.from_url(os.environ["REDIS_URL"])) as slots:
            lock(project.pk)
            under_way = [clients.submit(upload, web, who) for _ in range(15)]
            wait_until(lambda: slots.zcard(f"portal:slots:upload:{project.account_id}") == 15)
            assert upload(web, who).status_code == 429
            assert is_live(web)
        assert [one.result().status_code for one in under_way] == [200] * 15
    assert Event.objects.filter(project=project).count() == 15


@pytest.mark.parametrize("url", ["/1/events.json", "/1/profiles.json"])
def test_a_cursor_that_is_given_can_be_used_however_many_values_are_asked_for(
    web: str, project: Project, url: str
) -> None:
    who = headers(project)
    upload(web, who)

    def ask(count: int) -> requests.Response:
        values = [hashlib.sha256(b"%d" % place).hexdigest() for place in range(count)]  # hardly any shorter, compressed
        filters = [{"name": "City", "operator": "equals", "value": ["पुणे" * 125, *values]}]
        query = {"event_name": "Product Viewed", "from": 20200101, "to": 20991231, "event_properties": filters}
        return requests.post(f"{web}{url}", json=query, headers=who, timeout=SECONDS)

    counts = (1, 50, 100, 110, 120, 130, 140, 150, 300)
    asked = [ask(count) for count in counts]
    given = [one.json()["cursor"] for one in asked if one.ok]
    assert len(given[-1]) > 4_094
    for cursor in given:
        page = requests.get(f"{web}{url}?cursor={cursor}", headers=who, timeout=SECONDS)
        assert (page.status_code, page.json()["status"]) == (200, "success")
    assert asked[-1].status_code == 400
    assert "too long for a cursor" in asked[-1].json()["error"]


def test_whoever_was_cut_off_reads_why(web: str, project: Project) -> None:
    """And a client that sends its body slowly, but in time, is served as ever."""
    with stalled(web, "/1/upload", headers(project), 1) as (client,):
        client.sendall(b'"d":[]}'.ljust(99))
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    refused = {"X-CleverTap-Account-Id": project.account_id, "X-CleverTap-Passcode": "wrong"}
    with stalled(web, "/1/upload", refused, 1) as (client,):
        client.settimeout(SECONDS)
        answer = b""
        while piece := client.recv(1000):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 401")
