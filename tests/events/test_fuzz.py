"""A hundred thousand random records through the upload call; a million by `python -m tests.fuzz`."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings

from projects.actions import create_project
from tests.factories import TESTS, passcode_for
from tests.fuzz.records import Pool, body, broken, pools
from tests.fuzz.rules import Log, check_answer, check_refused_body

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def headers() -> dict[str, str]:
    project = create_project(name="Shop", timezone="Asia/Kolkata", by=TESTS, now=timezone.now()).project
    return {"X-CleverTap-Account-Id": project.account_id, "X-CleverTap-Passcode": passcode_for(project)}


@pytest.fixture
def log() -> Log:
    return Log()


def send(headers: dict[str, str], data: bytes) -> tuple[int, Any]:
    response = Client().post("/1/upload", data, content_type="application/json", headers=headers)
    assert not connection.in_atomic_block
    return response.status_code, response.json()


@settings(
    max_examples=100,
    phases=[Phase.generate],  # to make a failing example smaller would take minutes: its seed makes it again
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pool=pools(1_000))
def test_every_record_has_its_verdict_and_what_was_accepted_is_stored(
    headers: dict[str, str], log: Log, pool: Pool
) -> None:
    log.check(check_answer(pool, *send(headers, body(pool))))


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pool=pools(3))
def test_a_damaged_body_is_refused_whole_or_read_whole(headers: dict[str, str], log: Log, pool: Pool) -> None:
    status, answer = send(headers, broken(pool))
    if status == 200:
        assert answer["processed"] + len(answer["unprocessed"]) <= 3
        log.last = 2**62  # what it holds now is hard to tell
    else:
        check_refused_body(status, answer)
    log.check(0)
