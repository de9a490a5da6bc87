"""What the log tells ops: which lines there are, whom they are about, and where the id of a click goes."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.test import Client
from django.urls import reverse

from exports.models import Run
from exports_portal.common import bells, heartbeat
from exports_portal.runtime import BASE_DIR
from tests.exports.conftest import deliver
from tests.factories import UserFactory
from tests.pages.scene import PANEL

PACKAGES = (
    "amplitude_client",
    "events",
    "exports",
    "exports_portal",
    "notifications",
    "partners",
    "projects",
    "sources",
)
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
OF_LIBRARIES = {
    "request_finished",
    "request_failed",
    "streaming_failed",
    "streaming_finished",
    "task_failed",
}  # django-structlog's at our levels


class Lines:
    """Every line of ours so far, with what its context adds."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [record.msg for record in self._caplog.records if isinstance(record.msg, dict)]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    return Lines(caplog)


def events_in(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr=level), args=[event, *_]) if level in LEVELS:
                assert isinstance(event, ast.Constant), f"{source}:{node.lineno} names no event"
                yield str(event.value)


def test_every_line_is_explained_and_no_other() -> None:
    sources = [source for package in PACKAGES for source in (BASE_DIR / package).rglob("*.py")]
    written = {event for source in sources for event in events_in(source)}
    lines = (BASE_DIR / "docs/operations.md").read_text().partition("## Health")[0]
    table = re.findall(r"^\| `([a-z_.]+)[ `]", lines, re.MULTILINE)  # a library's own lines begin with "logger: "
    assert "batch.delivered" in written
    assert set(table) == written | OF_LIBRARIES
    assert len(table) == len(set(table))


def test_the_id_of_a_click_follows_into_the_worker(lines, client: Client, project, integration, capture) -> None:
    capture(3)
    client.force_login(UserFactory(superuser=True))
    url = reverse("exports:export-new", args=[project.account_id, "amplitude"])
    answer = client.post(url, {**PANEL, "integration": integration.pk, "export": "yes"})
    assert answer.status_code == 302, answer.content.decode()
    (click,) = [line["request_id"] for line in lines.entries if line["event"] == "request_finished"]
    deliver(Run.objects.get().export)
    worked = {line["event"]: line for line in lines.entries}
    for event in ("run.created", "run.started", "batch.delivered", "run.done"):
        assert worked[event]["request_id"] == click
    run = Run.objects.get()
    about = {"project": project.pk, "export": run.export_id, "run": run.pk, "shard": 0}
    assert about.items() <= worked["batch.delivered"].items()


def test_a_run_that_its_schedule_began_carries_no_click(lines, project, recurring, capture) -> None:
    capture(3)
    with structlog.contextvars.bound_contextvars(request_id="a-click-long-ago"):
        export = recurring()
    deliver(export)
    worked = [line for line in lines.entries if line["event"] == "batch.delivered"]
    assert worked
    assert not any("request_id" in line for line in worked)


def test_a_retry_hands_its_id_to_the_runs_it_sets_going(project, one_time, client: Client) -> None:
    export = one_time()
    client.force_login(UserFactory(superuser=True))
    client.post(reverse("exports:export-retry", args=[project.account_id, export.pk]))
    assert len(Run.objects.get().request_id) == 36


def test_a_bell_carries_nothing_of_who_rang_it(project) -> None:
    """Else the lines of whatever it wakes, and of what that rings for, would carry a stranger's address and id."""
    with structlog.contextvars.bound_contextvars(request_id="click", ip="192.0.2.7", user_id=7):
        bells.ring_shard(12, queue="bulk")
    with heartbeat.connect() as redis:
        (message,) = redis.lrange("bulk", 0, -1)
    assert json.loads(message)["headers"]["__django_structlog__"] == {}


def test_rejected_and_held_records_are_told_with_their_reasons(lines, one_time, capture) -> None:
    capture(2)
    capture(2, identity="abc")
    deliver(one_time())
    (told,) = [line for line in lines.entries if line["event"] == "records.set_aside"]
    assert (told["rejected"], told["held"], told["reasons"], told.get("wait")) == (2, 0, "id_too_short:2", None)
