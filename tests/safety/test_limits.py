"""Limits: requests a second and a minute over all processes, sizes of bodies, silent clients, endless statements."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.test import Client
from rest_framework.test import APIClient

from exports_portal import processes
from exports_portal.common import redis
from exports_portal.common.rate_limits import TooManyRequests, count
from exports_portal.embedded import free_port
from exports_portal.runtime import BASE_DIR
from tests.factories import ProjectFactory, passcode_for, token_for
from tests.portal import wait_until

DAY = 86_400
SETTINGS = {"DJANGO_SETTINGS_MODULE": "exports_portal.settings"}


def python(program: str, **environment: str) -> str:
    program = f"import django; django.setup(); {program}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=BASE_DIR,
        env=os.environ | SETTINGS | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_several_processes_keep_to_one_limit_together() -> None:
    name = f"test-{os.urandom(8).hex()}"
    program = f"""
from exports_portal.common.rate_limits import TooManyRequests, count
for _ in range(4):
    try:
        count({name!r}, most=5, seconds={DAY})
        print("through")
    except TooManyRequests as error:
        print("refused", error.retry_after)
"""
    said = "".join(python(f"exec({program!r})") for _ in range(2)).splitlines()
    refused = [line for line in said if line.startswith("refused")]
    assert len(said) - len(refused) == 5
    assert len(refused) == 3
    assert all(0 < int(line.split()[1]) <= DAY for line in refused)


def test_each_name_has_a_limit_of_its_own_and_zero_is_none() -> None:
    name = f"test-{os.urandom(8).hex()}"
    count(name, most=1, seconds=DAY)
    with pytest.raises(TooManyRequests, match="More than 1 requests within 86400 seconds"):
        count(name, most=1, seconds=DAY)
    count(f"{name}-other", most=1, seconds=DAY)
    count(name, most=0, seconds=DAY)


@pytest.fixture
def no_redis(settings: Any) -> Iterator[None]:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    yield
    wait_until(lambda: not redis.is_quiet())


def test_without_redis_everybody_is_let_through(no_redis: None) -> None:
    for _ in range(3):
        count("test", most=1, seconds=DAY)


def over(ask: Any) -> Any:
    """The first answer that is over the limit of one a second: two requests fall into one second at last."""
    answers: list[Any] = []

    def refused() -> bool:
        answers.append(ask())
        return answers[-1].status_code == 429

    wait_until(refused)
    return answers[-1]


@pytest.mark.django_db
def test_rest_answers_429_with_retry_after(settings: Any) -> None:
    settings.PORTAL_REST_PER_SECOND = 1
    busy, other = APIClient(), APIClient()
    for client in (busy, other):
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_for(ProjectFactory())}")
    answer = over(lambda: busy.get("/api/v1/exports/"))
    assert answer["Retry-After"] == "1"
    assert "throttled" in answer.json()["detail"]
    assert other.get("/api/v1/exports/").status_code == 200


@pytest.mark.django_db
def test_uploads_answer_429_with_retry_after_and_strangers_use_nothing_up(settings: Any) -> None:
    settings.PORTAL_UPLOADS_PER_SECOND = 1
    project, client = ProjectFactory(), Client()
    headers = {"x-clevertap-account-id": project.account_id, "x-clevertap-passcode": passcode_for(project)}

    def upload(**changes: str) -> Any:
        return client.post(
            "/1/upload?dryRun=1", '{"d": []}', content_type="application/json", headers={**headers, **changes}
        )

    for _ in range(3):
        assert upload(**{"x-clevertap-passcode": "guessed"}).status_code == 401
    answer = over(upload)
    assert answer["Retry-After"] == "1"
    assert (answer.json()["status"], answer.json()["code"]) == ("fail", 429)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/login/", "/admin/login/", "/password/reset/", "/invitation/abc/"])
def test_attempts_to_get_in_are_limited_by_address(settings: Any, path: str) -> None:
    settings.PORTAL_SIGN_INS_PER_MINUTE = 2
    settings.PORTAL_PROXIES = 1
    client, other = (Client(headers={"X-Forwarded-For": f"fd00:0:0:{os.urandom(2).hex()}::7"}) for _ in range(2))
    answers = [client.post(path, {"username": "a@example.com", "password": "x"}) for _ in range(6)]
    assert answers[0].status_code != 429
    assert answers[-1].status_code == 429  # also when a minute ends in between
    assert 0 < int(answers[-1]["Retry-After"]) <= 60
    assert client.get("/login/").status_code == 200
    assert other.post("/login/").status_code != 429


@pytest.mark.django_db
def test_a_large_body_is_413_in_the_shape_of_its_face(settings: Any) -> None:
    settings.PORTAL_BODY_BYTES = 2**20
    body = "x" * (2**20 + 1)
    rest = APIClient().post("/api/v1/exports/", body, content_type="application/json")
    assert (rest.status_code, list(rest.json())) == (413, ["detail"])
    page = Client().post("/login/", body, content_type="text/plain")
    assert (page.status_code, page["Content-Type"]) == (413, "text/plain; charset=utf-8")
    assert "1.0 MB" in page.content.decode()
    project = ProjectFactory()
    headers = {"x-clevertap-account-id": project.account_id, "x-clevertap-passcode": passcode_for(project)}
    upload = Client().post("/1/upload?dryRun=1", body, content_type="application/json", headers=headers)
    assert upload.status_code == 400  # uploads may be larger, but this is no JSON


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """gunicorn with the portal's settings, which waits a second for the next piece of a request."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "python:exports_portal.gunicorn_conf"]
    process = processes.spawn(
        [*command, "--bind", f"127.0.0.1:{port}"], env=os.environ | SETTINGS | {"PORTAL_REQUEST_SECONDS": "1"}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(f"{url}/live"))
        yield url
    finally:
        processes.end(process)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=20).ok
    except requests.RequestException:
        return False


@pytest.mark.parametrize(
    "piece", [b"GET /live HT", b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"]
)
def test_silent_clients_give_their_threads_back(web: str, piece: bytes) -> None:
    address = urlsplit(web)
    silent = [
        socket.create_connection((address.hostname, address.port)) for _ in range(33)
    ]  # one more than there are threads
    for connection in silent:
        connection.sendall(piece)
    wait_until(lambda: answers(f"{web}/live"))
    for connection in silent:
        connection.settimeout(20)
        while connection.recv(1000):
            pass  # until the server has hung up on it
        connection.close()


def test_heads_that_drip_hold_up_nobody_for_long(web: str) -> None:
    """One line after the other, never silent for long: more clients than there are threads."""
    address = urlsplit(web)
    clients = [socket.create_connection((address.hostname, address.port)) for _ in range(40)]
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.2):
            for client in clients:
                with suppress(OSError):
                    client.sendall(b"GET /live HTTP/1.1\r\n" if client not in begun else b"X: y\r\n")
                begun.add(client)

    begun: set[socket.socket] = set()
    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        wait_until(lambda: len(begun) == len(clients))
        assert requests.get(f"{web}/live", timeout=20).ok
    finally:
        over.set()
        dripping.join()
        for client in clients:
            client.close()


def test_no_statement_of_the_web_runs_for_ever() -> None:
    program = """
from django.db import OperationalError, connection
from exports_portal.common.database import bound_statements
bound_statements()
with connection.cursor() as cursor:
    cursor.execute("SHOW idle_in_transaction_session_timeout")
    print(cursor.fetchone()[0])
    try:
        cursor.execute("SELECT pg_sleep(60)")
    except OperationalError as error:
        print(error)
"""
    said = python(f"exec({program!r})", PORTAL_REQUEST_SECONDS="1")
    assert said.startswith("2s\n")
    assert "statement timeout" in said
