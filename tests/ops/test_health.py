"""/live, /ready and /metrics."""

import pytest
from django.test import Client

from events.models import LogBase
from exports_portal.common import heartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture
def everything_alive() -> None:
    heartbeat.beat()
    heartbeat.serve(heartbeat.QUEUES)


def test_live_needs_no_login(client: Client) -> None:
    assert client.get("/live").status_code == 200


def test_ready_names_each_part_that_gives_no_sign_of_life(client: Client, forgotten_signs: None) -> None:
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "reasons": [
            "No sign of life from tick.",
            "No sign of life from worker tick.",
            "No sign of life from worker live.",
            "No sign of life from worker bulk.",
            "No sign of life from worker purge.",
        ],
    }


def test_ready_is_200_when_all_is_well(client: Client, everything_alive: None) -> None:
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reasons": []})


def test_ready_says_that_redis_is_away(client: Client, settings) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["Redis does not answer."])


def test_ready_says_that_a_dump_was_restored(client: Client, everything_alive: None) -> None:
    LogBase.objects.update(system_identifier=7)
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "Run: manage.py rebase_positions" in answer.json()["reasons"][0]


def test_metrics_count_exports_runs_and_records(client: Client, everything_alive: None) -> None:
    lines = client.get("/metrics").content.decode().splitlines()
    assert "portal_ready 1.0" in lines
    assert 'portal_records{outcome="delivered"} 0.0' in lines


def test_metrics_are_closed_to_the_outside_and_through_a_proxy(client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 403
    assert client.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"}).status_code == 403


def test_metrics_open_with_the_token(client: Client, settings) -> None:
    settings.PORTAL_METRICS_TOKEN = "right"
    for token, status in (("wrong", 403), ("right", 200)):
        answer = client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status


@pytest.fixture
def forgotten_signs() -> None:
    with heartbeat.connect() as connection:
        connection.flushdb()
