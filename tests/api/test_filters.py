"""The filters of exports, as the page and the REST API have them. Days are local days of the project."""

from datetime import UTC, datetime, timedelta

import pytest

from exports.filters import ExportFilter
from exports.models import Export
from tests.factories import ExportFactory, IntegrationFactory, ProjectFactory

ADDRESS = "/api/v1/exports/"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def found(api, query):
    answer = api.get(f"{ADDRESS}?{query}")
    assert answer.status_code == 200, answer.content
    return {row["name"] for row in answer.json()["results"]}


@pytest.fixture
def three(project):
    """A running recurring, a done one-time and a stopped one-time export."""
    integration = IntegrationFactory(project=project, nickname="Amplitude EU")
    other = IntegrationFactory(project=project, nickname="Växjö 100%")
    ExportFactory(project=project, integration=integration, name="nightly", recurring=True, running=True)
    ExportFactory(project=project, integration=integration, name="backfill", done=True)
    ExportFactory(project=project, integration=other, name="mistake", stopped=True)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"nightly", "backfill", "mistake"}),
        ("status=RUNNING", {"nightly"}),
        ("status=DONE&status=STOPPED", {"backfill", "mistake"}),
        ("status=done", {"backfill"}),
        ("status=", {"nightly", "backfill", "mistake"}),
        ("frequency=one_time", {"backfill", "mistake"}),
        ("frequency=recurring&frequency=live", {"nightly"}),
        ("frequency=one_time&status=DONE", {"backfill"}),
        ("type=events", {"nightly", "backfill", "mistake"}),
        ("type=user_profiles", set()),
        ("format=JSON", {"nightly", "backfill", "mistake"}),
        ("format=json", {"nightly", "backfill", "mistake"}),
        ("partner=amplitude", {"nightly", "backfill", "mistake"}),
        ("search=NIGHT", {"nightly"}),
        ("search=amplitude", {"nightly", "backfill"}),
        ("search=100%25", {"mistake"}),
        ("search=v%C3%A4xj%C3%B6", {"mistake"}),
        ("search=nothing+like+it", set()),
    ],
)
def test_each_parameter_narrows_the_list(api, three, query, names):
    assert found(api, query) == names


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=LATE", "status"),
        ("type=people", "type"),
        ("frequency=hourly", "frequency"),
        ("partner=mixpanel", "partner"),
        ("format=CSV", "format"),
        ("ordering=secrets", "ordering"),
        ("exported_on_after=yesterday", "exported_on_after"),
        ("exported_on_after=2026-13-01", "exported_on_after"),
        ("exported_on_after=0001-01-01", "exported_on_after"),
        ("exported_on_before=9999-12-31", "exported_on_before"),
        ("exported_on_after=2026-11-02&exported_on_before=2026-11-01", "exported_on_before"),
        ("search=%00", "search"),
        ("stat=DONE", "stat"),
    ],
)
def test_what_is_not_understood_is_400_at_its_parameter(api, three, query, field):
    answer = api.get(f"{ADDRESS}?{query}")
    assert answer.status_code == 400
    assert set(answer.json()) == {field}


# In Berlin the clocks go back on 25 October 2026: that day has 25 hours, from 22:00 to 23:00 UTC.
DAY_IN_BERLIN = (utc(2026, 10, 24, 22), utc(2026, 10, 25, 23))


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        (DAY_IN_BERLIN[0] - timedelta(microseconds=1), False),
        (DAY_IN_BERLIN[0], True),
        (DAY_IN_BERLIN[1] - timedelta(microseconds=1), True),
        (DAY_IN_BERLIN[1], False),
    ],
)
def test_exported_on_takes_whole_local_days_over_a_clock_change(db, at, inside):
    project = ProjectFactory(timezone="Europe/Berlin")
    ExportFactory(project=project, created_at=at)
    days = {"exported_on_after": "2026-10-25", "exported_on_before": "2026-10-25"}
    filters = ExportFilter(days, project=project)
    assert filters.is_valid()
    assert filters.qs.exists() is inside


def test_the_same_instant_lies_on_another_day_elsewhere(db):
    at = utc(2026, 10, 31, 20)  # 1 November, 01:30 in Kolkata
    for timezone, expected in (("Asia/Kolkata", 0), ("Europe/Berlin", 1)):
        project = ProjectFactory(timezone=timezone)
        ExportFactory(project=project, created_at=at)
        assert ExportFilter({"exported_on_before": "2026-10-31"}, project=project).qs.count() == expected


def test_the_newest_come_first_and_ties_keep_their_order(db):
    project = ProjectFactory()
    old, first, second = (
        ExportFactory(project=project, created_at=utc(2026, 11, day), name=name)
        for day, name in ((1, "b"), (2, "c"), (2, "a"))
    )
    assert list(ExportFilter({}, project=project).qs) == [second, first, old]
    assert list(ExportFilter({"ordering": "exported_on"}, project=project).qs) == [old, second, first]
    assert list(ExportFilter({"ordering": "name"}, project=project).qs) == [second, old, first]


def test_exports_without_a_name_are_ordered_by_what_people_see(db):
    project = ProjectFactory()
    nameless = ExportFactory(project=project, integration__nickname="Beta")
    named = ExportFactory(project=project, integration__nickname="Zeta", name="alpha")
    assert list(ExportFilter({"ordering": "name"}, project=project).qs) == [named, nameless]


def test_a_filter_never_leaves_its_project(db):
    foreign = ExportFactory()
    filters = ExportFilter({}, queryset=Export.objects.filter(pk=foreign.pk), project=ProjectFactory())
    assert not filters.qs.exists()
