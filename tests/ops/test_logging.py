"""The shape of log lines."""

import io
import json
import logging
import logging.config
import re
from collections.abc import Callable, Iterator

import pytest
import structlog

from exports_portal.logging import configure_structlog, logging_settings
from exports_portal.runtime import BASE_DIR

LOGGERS = ("exports.delivery", "kombu")


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[Callable[[], list[str]]]:
    """The settings' handler on two loggers (pytest holds the root one); hands back what was written."""
    written = io.StringIO()
    settings = logging_settings(log_format=getattr(request, "param", "console"))
    del settings["root"]
    settings["handlers"]["stdout"]["stream"] = written
    settings["loggers"] = {name: {"level": "INFO", "handlers": ["stdout"]} for name in LOGGERS}
    logging.config.dictConfig(settings)
    configure_structlog()
    yield lambda: written.getvalue().splitlines()
    for name in LOGGERS:
        logging.getLogger(name).handlers.clear()


def log() -> structlog.stdlib.BoundLogger:
    return structlog.stdlib.get_logger("exports.delivery")


def test_a_line_is_time_level_event_and_pairs(lines) -> None:
    log().info("batch.delivered", run=12, shard=0, events=2000, status=200, ms=41)
    (line,) = lines()
    time, rest = line.split(" ", 1)
    assert len(time) == len("2026-11-23T10:00:00Z")
    assert rest == "info batch.delivered run=12 shard=0 events=2000 status=200 ms=41"


def test_values_with_spaces_stand_in_quotes(lines) -> None:
    log().warning("run.retry", reason='Amplitude said "no"\nand left', last=True)
    (line,) = lines()
    assert line.endswith(r'warning run.retry reason="Amplitude said \"no\"\nand left" last=true')


def test_a_secret_is_never_written(lines) -> None:
    log().info("integration.tested", api_key="3f9c1e07", token="abc")
    assert lines()[0].endswith("integration.tested api_key=*** token=***")


def test_a_traceback_follows_its_line(lines) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        log().exception("run.failed", run=3)
    written = lines()
    assert written[0].endswith("error run.failed run=3")
    assert written[-1] == "  ValueError: broken"


def test_a_message_of_an_exception_forges_no_line(lines) -> None:
    try:
        raise ValueError("broken\n2026-01-01T00:00:00Z info export.stopped by=root\r\x1b[2J")
    except ValueError:
        log().exception("run.failed", run=3)
    assert [line for line in lines() if not line.startswith("  ")] == lines()[:1]
    assert "\x1b" not in "".join(lines())


def test_a_library_is_named(lines) -> None:
    logging.getLogger("kombu").warning("lost %s", "connection")
    assert lines()[0].endswith("warning kombu: lost connection")


def test_health_requests_are_no_news(lines) -> None:
    log().info("request_finished", request="GET /ready", code=200)
    assert lines() == []


def test_what_was_asked_for_stays_out_of_the_log(lines) -> None:
    log().info("request_finished", request="GET /1/profile.json?email=jane@example.com", code=200)
    assert lines()[0].endswith('request_finished request="GET /1/profile.json" code=200')


@pytest.mark.parametrize("lines", ["json"], indirect=True)
def test_json_holds_the_same(lines) -> None:
    log().info("batch.delivered", run=12, name="Größe")
    entry = json.loads(lines()[0])
    assert (entry["event"], entry["level"], entry["run"], entry["name"]) == ("batch.delivered", "info", 12, "Größe")


def test_every_line_of_ours_is_explained() -> None:
    explained = (BASE_DIR / "docs" / "operations.md").read_text()
    apps = ("exports_portal", "projects", "events", "partners", "notifications", "sources", "exports")
    code = "".join(file.read_text() for app in apps for file in (BASE_DIR / app).rglob("*.py"))
    lines = set(re.findall(r'log\.(?:info|warning|error|exception)\(\s*"([a-z_.]+)"', code))
    assert {"batch.delivered", "source.page", "horizon.old"} <= lines
    assert {line for line in lines if f"`{line}" not in explained} == set()
