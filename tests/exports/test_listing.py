"""Long lists: pages from both ends, read from one index, and counts for the rows of a page only."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from exports.filters import ExportFilter
from exports.models import Export, Run
from exports.models.counting import TALLIES
from exports_portal.common.paging import KeyPaginator
from projects.models import Project
from tests.factories import ExportFactory, IntegrationFactory, ProjectFactory, RunFactory

FILTERS = (
    {},
    {"status": ["RUNNING", "DONE"]},
    {"type": "user_profiles"},
    {"frequency": "live"},
    {"partner": "amplitude"},
    {"format": "JSON"},
    {"search": "nightly"},
    {"exported_on_after": "2026-11-01", "exported_on_before": "2026-11-30"},
    {"status": "STOPPED", "type": "events", "frequency": "one_time", "partner": "amplitude", "search": "a"},
)


@pytest.fixture
def project(db: Any) -> Project:
    return ProjectFactory()


def found(project: Project, filters: dict[str, Any]) -> Any:
    return ExportFilter(filters, project=project).qs


@pytest.mark.parametrize("filters", FILTERS, ids=str)
@pytest.mark.parametrize("read", ["page", "count"])
def test_pages_and_counts_are_read_from_one_index_alone(project: Project, filters: dict[str, Any], read: str) -> None:
    """A column that it lacks would make PostgreSQL fetch every export that is passed on the way."""
    IntegrationFactory(project=project)
    rows = found(project, filters).values_list("pk")
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX exports_export_project_id_2d9b0402")  # for a table without rows as good as ours
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    plan = (rows[40:60] if read == "page" else rows.order_by()).explain()
    assert "Index Only Scan using exports_for_lists" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("ordering", ["", "name", "-name", "type", "-status", "exported_on", "created_at"])
def test_pages_from_both_ends_make_up_the_whole_list(project: Project, ordering: str) -> None:
    now, integration = timezone.now(), IntegrationFactory(project=project)
    for place in range(23):
        moment = now - timedelta(minutes=place // 2)  # some at the same moment
        ExportFactory(
            project=project, integration=integration, name=f"Name {place % 5}", created_at=moment, done=place % 3 == 0
        )
    rows = found(project, {"ordering": ordering})
    pages = KeyPaginator(rows, 5)
    assert [row.pk for page in pages for row in page] == list(rows.values_list("pk", flat=True))


def test_a_page_past_the_end_is_the_last_and_an_empty_list_has_one(project: Project) -> None:
    assert list(KeyPaginator(found(project, {}), 5).get_page(7)) == []
    ExportFactory.create_batch(6, project=project)
    assert len(KeyPaginator(found(project, {}), 5).get_page(7)) == 1


def test_counts_are_added_to_the_rows_of_a_page_by_one_query(project: Project, django_assert_num_queries: Any) -> None:
    integration = IntegrationFactory(project=project)
    for place in range(12):
        export = ExportFactory(project=project, integration=integration)
        for _ in range(2):
            RunFactory(export=export, done=True, counts={"delivered": place, "held": 1, "in_flight": 2})
    with django_assert_num_queries(2):
        rows = list(Export.objects.with_counts().order_by("pk")[5:8])
    assert [(row.read, row.delivered, row.held, row.in_flight) for row in rows] == [
        (2 * place + 2, 2 * place, 2, 4) for place in (5, 6, 7)
    ]
    with django_assert_num_queries(2):
        runs = list(Run.objects.with_counts().filter(export=rows[0]))
    assert [(run.read, run.takeovers) for run in runs] == [(6, 0), (6, 0)]


def test_without_shards_all_counts_are_0(project: Project) -> None:
    export = ExportFactory(project=project)
    row = Export.objects.with_counts().get(pk=export.pk)
    assert [getattr(row, name) for name in TALLIES] == [0] * len(TALLIES)


def test_the_latest_run_of_each_export_is_found(project: Project) -> None:
    exports = ExportFactory.create_batch(3, project=project)
    for export in exports[:2]:
        latest = [RunFactory(export=export, done=True) for _ in range(3)][-1]
        assert latest.sequence == 3
    found_runs = Run.objects.latest_of(exports)
    assert sorted((run.export_id, run.sequence) for run in found_runs) == [(one.pk, 3) for one in exports[:2]]


def test_only_one_run_of_an_export_reads(project: Project) -> None:
    """Its constraint outlived the index on the same column that went."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'exports_run'")
        names = {name for (name,) in cursor.fetchall()}
    assert {"one_reading_run", "runs_of_export"} <= names
    assert not {name for name in names if name.startswith("exports_run_export_id")}
