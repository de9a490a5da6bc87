"""What is asked about an export's runs reads the last few of them, however many it ever made."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from exports import alerts, runs
from exports.models import Alert, Export, Run, Shard
from partners import actions as partner_actions
from tests.exports.conftest import now
from tests.factories import ExportFactory, RunFactory

pytestmark = pytest.mark.django_db

RUNS = 500
A_FEW = 30  # rows of runs and shards


@pytest.fixture
def export() -> Export:
    """Daily, with many runs behind it and the next one due."""
    made: Export = ExportFactory(recurring=True, created_at=timezone.now() - timedelta(days=RUNS))
    first = RunFactory(export=made, done=True)
    values = {field.name: getattr(first, field.name) for field in Run._meta.fields if field.name not in ("id", "uid")}
    days = {number: timedelta(days=number - 1) for number in range(2, RUNS + 1)}
    windows = [
        {"sequence": number, "window_start": first.window_start + day, "window_end": first.window_end + day}
        for number, day in days.items()
    ]
    made_runs = Run.objects.bulk_create(Run(**{**values, **window}) for window in windows)
    Shard.objects.bulk_create(Shard(run=run, index=0, of=1, open=False, reading=False) for run in made_runs)
    return made


def test_the_next_window(export: Export) -> None:
    last = Run.objects.get(sequence=RUNS)
    assert rows_read(lambda: runs.create_windows([export], now=now())) < A_FEW
    made = Run.objects.get(sequence=RUNS + 1)
    assert made.window_start == last.window_end


def test_windows_without_records(export: Export) -> None:
    last = Run.objects.get(sequence=RUNS)
    assert rows_read(lambda: alerts.runs_ended([last.pk], now=now())) < A_FEW
    assert Alert.objects.get().kind == "empty"


def test_what_goes_through_an_integration_that_is_mended(export: Export) -> None:
    """Also exports that went elsewhere while a run of theirs goes on, or has rejected records to send again."""
    integration = export.integration
    others = [ExportFactory(project=export.project, done=True, needs_attention=True) for _ in range(3)]
    RunFactory(export=others[0], integration=integration)
    RunFactory(export=others[1], integration=integration, done=True).shards.update(resend_at=now())
    RunFactory(export=others[2], integration=integration, done=True)
    Export.objects.filter(pk=export.pk).update(needs_attention=True)
    assert rows_read(lambda: partner_actions.resume(integration=integration)) < A_FEW
    assert list(Export.objects.filter(needs_attention=True)) == [others[2]]


def rows_read(call: Callable[[], Any]) -> int:
    """How many rows of runs and shards the statements of `call` look at."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE exports_export, exports_run, exports_shard")
        cursor.execute("SET LOCAL enable_seqscan = off")
        with CaptureQueriesContext(connection) as asked:
            call()
        count = 0
        for query in asked.captured_queries:
            if query["sql"].lstrip().startswith(("SELECT", "UPDATE")) and "exports_run" in query["sql"]:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql'].replace('%', '%%')}")
                (answer,) = cursor.fetchone()
                count += _rows(answer[0]["Plan"])
    return count


def _rows(plan: dict[str, Any]) -> int:
    own = 0
    if plan.get("Relation Name") in ("exports_run", "exports_shard"):
        own = plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    return own + sum(map(_rows, plan.get("Plans", [])))
