"""A Redis that hangs, or is gone, delays nobody: bells are lost at once, and the tick does the work later."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Timer

import psutil
import pytest
import redis
from django.test import Client

from exports_portal.common import bells
from exports_portal.common.redis import is_quiet
from exports_portal.embedded import free_port
from exports_portal.runtime import BASE_DIR
from tests.factories import ProjectFactory, passcode_for
from tests.portal import wait_until

FAR_TOO_LONG = 15  # seconds; without time-outs it would be for ever


@pytest.fixture
def hanging_redis() -> Iterator[psutil.Process]:
    """This test process's Redis is stopped; the test fails when it waited for Redis to go on."""
    (server,) = [child for child in psutil.Process().children() if child.name() == "redis-server"]
    server.suspend()
    rescue = Timer(FAR_TOO_LONG, server.resume)
    rescue.start()
    yield server
    in_time = not rescue.finished.is_set()
    rescue.cancel()
    server.resume()
    wait_until(lambda: not is_quiet())  # for the tests that come next
    assert in_time, "it waited for Redis"


def waiting(queue: str) -> int:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as connection:
        return int(connection.llen(queue))  # type: ignore[arg-type]


def test_a_whole_sweep_of_bells_does_not_hang_with_redis(hanging_redis: psutil.Process) -> None:
    for shard_id in range(1, 201):
        bells.ring_shard(shard_id, queue="bulk")


def test_bells_do_not_wait_for_a_redis_that_is_gone() -> None:
    ring = (
        "import django; django.setup(); from exports_portal.common import bells; any(map(bells.ring_probe, range(10)))"
    )
    gone = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "DJANGO_SETTINGS_MODULE": "exports_portal.settings"}
    done = subprocess.run(
        [sys.executable, "-c", ring],
        cwd=BASE_DIR,
        env=os.environ | gone,
        capture_output=True,
        text=True,
        timeout=FAR_TOO_LONG,
        check=True,
    )
    assert "redis.away" in done.stdout


def test_bells_ring_again_soon_after_redis_went_on(hanging_redis: psutil.Process) -> None:
    bells.ring_tick()
    hanging_redis.resume()
    before = waiting("tick")

    def arrives() -> bool:
        bells.ring_tick()
        return waiting("tick") > before

    wait_until(arrives)


@pytest.mark.django_db(transaction=True)
def test_uploads_are_taken_while_redis_hangs(hanging_redis: psutil.Process, client: Client) -> None:
    project = ProjectFactory()
    headers = {"x-clevertap-account-id": project.account_id, "x-clevertap-passcode": passcode_for(project)}
    event = {"type": "event", "identity": "person-0001", "evtName": "Searched", "evtData": {}}
    answer = client.post("/1/upload", json.dumps({"d": [event]}), content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["processed"]) == (200, 1)


@pytest.mark.django_db
def test_ready_says_so_while_redis_hangs(hanging_redis: psutil.Process, client: Client) -> None:
    assert "Redis does not answer." in client.get("/ready").json()["reasons"]
