"""/metrics, its alert rules, and `manage.py status`: the same numbers from every process, whatever has run before."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import yaml
from django.db.models import Sum
from django.test import Client
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from exports import tick, totals
from exports.models import Export, Run, Shard, Total
from exports.models.counting import COUNTS
from exports_portal.common import heartbeat, timings
from exports_portal.runtime import BASE_DIR
from tests.factories import ExportFactory, IntegrationFactory, RunFactory

pytestmark = pytest.mark.django_db
RULES = BASE_DIR / "docs/prometheus-alerts.yml"


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    timings.flush()  # what the tests before this one have counted
    with heartbeat.connect() as redis:
        redis.delete(timings.KEY)


def families(client: Client) -> dict[str, Metric]:
    timings.flush()
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(answer.content.decode())}


def samples(client: Client) -> dict[tuple[str, ...], float]:
    """By name and labels' values, the bound of a bucket last."""
    found = (sample for family in families(client).values() for sample in family.samples)
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels, key="le".__eq__))): sample.value
        for sample in found
    }


def records() -> dict[str, int]:
    return Shard.objects.aggregate(**{name: Sum(name) for name in COUNTS})


@pytest.fixture
def ended_and_running() -> tuple[Run, Run]:
    """An ended run with some of everything, and one that is being read."""
    ended = RunFactory(done=True, counts={"delivered": 900, "rejected": 60, "held": 0, "skipped": 40})
    running = RunFactory(running=True, counts={"delivered": 5, "held": 2})
    Export.objects.filter(pk=running.export_id).update(status="RUNNING")
    return ended, running


def test_records_and_runs_are_the_same_before_and_after_they_are_added_up(client: Client, ended_and_running) -> None:
    expected = {"read": 1_007, "delivered": 905, "rejected": 60, "held": 2, "skipped": 40}
    runs = {"PENDING": 0, "RUNNING": 1, "DONE": 1, "STOPPED": 0}
    assert (totals.totals().records, totals.totals().runs) == (expected, runs)
    ended, _ = ended_and_running
    assert totals.add_up() == [ended.pk]
    assert totals.add_up() == []
    assert (totals.totals().records, totals.totals().runs) == (expected, runs)
    found = samples(client)
    assert {name: found["portal_records", name] for name in expected} == expected
    assert {name: found["portal_runs", name] for name in runs} == runs


def test_what_changes_after_the_end_is_in_the_totals_at_once(ended_and_running) -> None:
    """A rejected record that was sent again; the late answer to the last request of a stopped run."""
    ended, _ = ended_and_running
    totals.add_up()
    Shard.objects.filter(run=ended).update(rejected=50, delivered=910, unconfirmed_again=3)
    assert totals.totals().records == records()
    assert totals.totals().unconfirmed == 3
    Shard.objects.filter(run=ended).update(lease_owner="nobody")
    assert totals.totals().records == records()


def test_purged_runs_stay_counted(ended_and_running) -> None:
    ended, _ = ended_and_running
    totals.add_up()
    before = totals.totals()
    Run.objects.filter(pk=ended.pk).delete()
    assert totals.totals() == before


def test_a_run_is_added_once_all_its_shards_have_ended() -> None:
    run = RunFactory(running=True, counts={"delivered": 7})
    Shard.objects.filter(run=run).update(open=False)
    assert totals.add_up() == []
    Run.objects.filter(pk=run.pk).update(status="STOPPED")
    assert totals.add_up() == [run.pk]
    assert (Total.objects.get().delivered, Total.objects.get().runs_stopped) == (7, 1)


@pytest.mark.django_db(transaction=True)
def test_the_tick_adds_up(ended_and_running) -> None:
    from events import positions

    positions.set_up()
    tick.tick(now=timezone.now())
    assert Total.objects.get().read == 1_000


def test_a_scrape_asks_the_same_of_the_database_however_many_runs_there_were(
    client: Client, ended_and_running, django_assert_num_queries: Any
) -> None:
    totals.add_up()
    client.get("/metrics")
    with django_assert_num_queries(15):
        client.get("/metrics")


def test_what_waits_and_fails_is_told(client: Client) -> None:
    moment = timezone.now()
    integration = IntegrationFactory(setup_fault="The API key is invalid.", setup_fault_at=moment)
    failing = ExportFactory(integration=integration, project=integration.project, status="RUNNING")
    Export.objects.filter(pk=failing.pk).update(failing_since=moment, needs_attention=True)
    late = RunFactory()
    Run.objects.filter(pk=late.pk).update(created_at=moment - timedelta(seconds=100))
    behind_the_fault = RunFactory(export=failing)
    Run.objects.filter(pk=behind_the_fault.pk).update(created_at=moment - timedelta(days=2))
    found = samples(client)
    assert found["portal_setup_faults", "amplitude"] == 1
    assert found["portal_exports_failing",] == found["portal_exports_needing_attention",] == 1
    assert 100 <= found["portal_oldest_due_run_seconds",] < 1_000
    assert found["portal_exports", "RUNNING"] == 1


def test_answers_are_timed_by_kind_and_status(client: Client) -> None:
    client.get("/login/")
    client.get("/login/")
    client.post("/1/upload", b"{}", content_type="application/json")
    client.get("/live")
    found = samples(client)
    assert found["portal_http_request_seconds_count", "page", "200"] == 2
    assert found["portal_http_request_seconds_count", "upload", "401"] == 1
    assert {key[1] for key in found if key[0] == "portal_http_request_seconds_count"} == {"page", "upload"}
    assert found["portal_http_request_seconds_bucket", "page", "200", "+Inf"] == 2
    assert found["portal_http_request_seconds_sum", "page", "200"] > 0


def test_answers_of_partners_are_timed_over_all_processes(client: Client) -> None:
    """Each in a process of its own, which adds what it counted when it ends."""
    program = (
        "import django; django.setup(); from exports_portal.common import timings;"
        "[timings.asked_partner(status=200, ms=40) for _ in range(50)]; timings.asked_partner(status=None, ms=60_000)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "exports_portal.settings"}
    processes = [subprocess.Popen([sys.executable, "-c", program], env=environment) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    found = samples(client)
    assert found["portal_partner_request_seconds_count", "200"] == 100
    assert found["portal_partner_request_seconds_bucket", "200", "0.025"] == 0
    assert found["portal_partner_request_seconds_bucket", "200", "0.05"] == 100
    assert found["portal_partner_request_seconds_bucket", "none", "30.0"] == 0
    assert found["portal_partner_request_seconds_sum", "none"] == 120


def test_nothing_is_lost_while_redis_is_away(client: Client, settings) -> None:
    there, settings.CELERY_BROKER_URL = settings.CELERY_BROKER_URL, "redis://127.0.0.1:1/0"
    client.get("/login/")
    assert "portal_http_request_seconds" not in families(client)
    settings.CELERY_BROKER_URL = there
    assert samples(client)["portal_http_request_seconds_count", "page", "200"] == 1


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        assert group.keys() == {"name", "rules"}
        yield from group["rules"]


def test_each_alert_rule_asks_for_a_metric_that_there_is_and_names_its_paragraph(client: Client) -> None:
    client.get("/login/")
    timings.asked_partner(status=200, ms=1)
    known = {sample.name: set(sample.labels) for family in families(client).values() for sample in family.samples}
    known |= {"portal_setup_faults": {"partner"}, "portal_live_lag_seconds": {"project", "export"}}
    paragraphs = re.findall(r"^\*\*(.+?)\.\*\*", (BASE_DIR / "docs/operations.md").read_text(), re.MULTILINE)
    names = []
    for rule in rules():
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] in paragraphs
        asked = re.findall(r"(portal_\w+)(?:\{([^}]*)\})?", rule["expr"])
        assert asked
        for metric, where in asked:
            assert metric in known, f"{rule['alert']} asks for {metric}"
            assert set(re.findall(r"(\w+)[=!]", where)) <= known[metric]
        for grouped in re.findall(r"by \(([^)]*)\)", rule["expr"]):
            assert {word.strip() for word in grouped.split(",")} <= set.union(*(known[metric] for metric, _ in asked))
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        names.append(rule["alert"])
    assert len(names) == len(set(names)) > 10


def test_each_metric_is_explained(client: Client) -> None:
    table = set(re.findall(r"`(portal_\w+)[`{]", (BASE_DIR / "docs/operations.md").read_text()))
    assert set(families(client)) <= table


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `manage.py status`; gives exit code and what it wrote."""
    from django.core.management import call_command

    def run(*words: str) -> tuple[int, str]:
        code = 0
        try:
            call_command("status", *words)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, capsys.readouterr().out

    return run


def test_status_tells_it_on_one_screen(status, client: Client, ended_and_running) -> None:
    heartbeat.beat()
    heartbeat.serve(heartbeat.QUEUES)
    client.get("/login/")
    timings.flush()
    code, screen = status()
    assert code == 0
    assert len(screen.splitlines()) <= 24
    assert "Portal         ready" in screen
    assert "Records        read 1,007, delivered 905, rejected 60, held 2, skipped 40, unconfirmed 0" in screen
    assert "Runs           PENDING 0, RUNNING 1, DONE 1, STOPPED 0" in screen
    assert "page 200                1" in screen


def test_status_ends_with_1_and_the_reasons_when_something_is_missing(status) -> None:
    with heartbeat.connect() as redis:
        redis.flushdb()
    code, screen = status()
    assert code == 1
    assert "not ready: No sign of life from tick." in screen
    code, told = status("--json")
    assert code == 1
    found = json.loads(told)
    assert found["ready"] is False
    assert found["totals"]["records"]["read"] == 0
