"""Lag: how far a live export is behind what was captured, told the same way on pages, in REST and in /metrics."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client

from events import backlog
from events.backlog import Place
from events.ingest import ingest
from exports import actions
from exports.lag import Lag, lags
from exports.models import Export, Shard
from exports.spec import ExportSpec
from tests.exports.conftest import ANN, edit, flow, now, people, today, work_once
from tests.exports.transactions import open_writer
from tests.factories import token_for


@pytest.fixture
def behind(project):
    """behind(seconds, count, name=…) captures events that came in so many seconds ago."""

    def upload(seconds, count=1, *, name="Charged"):
        at = now() - timedelta(seconds=seconds)
        record = {"type": "event", "identity": "person-0001", "evtName": name, "ts": int(at.timestamp())}
        assert ingest(project=project, records=[record] * count, now=at).processed == count

    return upload


def started_long_ago(export: Export) -> Export:
    """As if it had been created an hour ago."""
    Export.objects.filter(pk=export.pk).update(captured_from=now() - timedelta(hours=1))
    return Export.objects.get(pk=export.pk)


def tens(seconds: float) -> float:
    """A slow machine may take some of them to look."""
    return seconds // 10 * 10


def lag_of(export: Export) -> Lag:
    return lags([Export.objects.get(pk=export.pk)], now=now())[export.pk]


def test_nothing_captured_is_no_lag(live):
    assert lag_of(live()) == Lag(0.0, 0, "event")


def test_lag_is_the_age_of_the_oldest_record_without_an_outcome(live, behind):
    export = started_long_ago(live())
    behind(60, 3)
    behind(20, 4)
    lag = lag_of(export)
    assert (tens(lag.seconds), lag.waiting) == (60, 7)


@pytest.mark.parametrize(
    ("lag", "words", "note"),
    [
        (Lag(0.0, 0, "event"), "Up to date", "sent within seconds"),
        (Lag(1.9, 40, "event"), "Up to date", "sent within seconds"),
        (Lag(12.3, 4_300, "event"), "12 s behind", "behind · about 4,300 events waiting"),
        (Lag(125.0, 1, "profile update"), "2 min 5 s behind", "behind · 1 profile update waiting"),
        (Lag(60.0, 0, "event"), "1 min behind", "behind"),
    ],
)
def test_lag_in_words(lag, words, note):
    assert (lag.in_words, lag.note) == (words, note)


def test_what_has_been_settled_is_no_lag(live, behind, sandbox):
    export = started_long_ago(live())
    behind(60, 3)
    flow(export)
    assert lag_of(export) == Lag(0.0, 0, "event")


def test_what_was_captured_before_the_start_is_no_lag(live, behind):
    behind(60)
    export = live()
    behind(60)
    assert lag_of(export) == Lag(0.0, 0, "event")


def test_records_of_other_names_and_projects_are_no_lag(live, behind, capture):
    capture(1, name="Charged")
    export = started_long_ago(live(events="selected", selected_events=("Charged",)))
    behind(60, 5, name="Searched")
    assert lag_of(export).seconds == 0
    behind(30, 2)
    assert (tens(lag_of(export).seconds), lag_of(export).waiting) == (30, 2)


def test_a_record_above_the_horizon_is_lag_already(live, behind, sandbox):
    export = flow(started_long_ago(live()))
    with open_writer():
        behind(60)
        flow(export)
        assert tens(lag_of(export).seconds) == 60


def test_between_two_runs_the_lag_goes_on_from_where_the_last_one_ended(live, behind, sandbox):
    export = started_long_ago(live())
    behind(90)
    flow(export)
    edit(Export.objects.get(), name="New")
    work_once(export)  # ends the run; no tick has opened the next one
    behind(60)
    assert not Shard.objects.filter(open=True).exists()
    assert (tens(lag_of(export).seconds), lag_of(export).waiting) == (60, 1)


def test_a_long_backlog_is_looked_at_in_part_and_its_size_reckoned(live, behind):
    export = started_long_ago(live())
    for _ in range(4):
        behind(60, 900)
    assert (tens(lag_of(export).seconds), lag_of(export).waiting) == (60, 3_600)


def test_a_long_stretch_of_other_records_bounds_the_lag(project, live, behind, capture):
    capture(1, name="Charged")
    export = started_long_ago(live(events="selected", selected_events=("Charged",)))
    behind(90, 600, name="Searched")
    behind(60, 600, name="Searched")
    behind(30)
    lag = lag_of(export)
    assert (tens(lag.seconds), lag.waiting) == (60, 0)  # what waits is no older than that


def test_names_that_nobody_has_sent_yet_are_no_lag_however_much_else_comes(live, behind):
    export = started_long_ago(live(events="engagement"))
    behind(60, 900, name="Searched")
    behind(60, 900, name="Searched")
    assert lag_of(export) == Lag(0.0, 0, "event")


def test_profile_updates_have_their_lag_too_and_events_do_not_count(profile_export, behind, capture_profiles):
    export = started_long_ago(profile_export("live"))
    behind(60)
    assert lag_of(export) == Lag(0.0, 0, "profile update")
    capture_profiles(people(3))
    lag = lags([export], now=now() + timedelta(seconds=30))[export.pk]
    assert (tens(lag.seconds), lag.waiting, lag.note) == (30, 3, "behind · 3 profile updates waiting")


def test_only_active_live_exports_have_a_lag(live, integration, project, django_assert_num_queries):
    export = live()
    actions.stop_export(export=export, by=ANN, now=now())
    stopped = Export.objects.get(pk=export.pk)
    spec = ExportSpec(integration.pk, "recurring", every_hours=24, start_date=today(project))
    recurring = actions.create_export(project=project, spec=spec, by=ANN, now=now())
    with django_assert_num_queries(0):
        assert lags([stopped, recurring], now=now()) == {}


def test_many_live_exports_are_asked_for_at_once(live, behind, django_assert_num_queries):
    exports = [started_long_ago(live(name=str(number))) for number in range(5)]
    behind(60)
    with django_assert_num_queries(2):  # the cursors, and the log behind them
        found = lags(exports, now=now())
    assert [tens(found[export.pk].seconds) for export in exports] == [60] * 5


def test_a_live_export_that_becomes_recurring_has_none(live, project, sandbox):
    export = flow(live())
    edit(export, frequency="recurring", every_hours=24, start_date=today(project))
    assert lags([Export.objects.get(pk=export.pk)], now=now()) == {}


def test_the_log_is_read_along_its_index(live, behind):
    """Whatever the statistics say: a look behind a cursor must not cost the whole log."""
    export = started_long_ago(live())
    behind(60, 900)
    place = Place(export.project_id, (export.next_tx_id, 0), export.captured_from)
    with connection.cursor() as cursor:
        values = {"places": backlog._as_json({export.pk: place}), "look": 10}
        cursor.execute(f"EXPLAIN {backlog.OF_EVENTS}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "events_by_position" in plan
    assert "Seq Scan on events_event" not in plan


def test_rest_tells_the_lag(live, behind, project):
    export = started_long_ago(live())
    client = Client(headers={"authorization": f"Bearer {token_for(project)}"})
    address = f"/api/v1/exports/{export.pk}/"
    assert client.get(address).json()["lag_seconds"] == 0
    behind(60)
    assert 60 <= client.get(address).json()["lag_seconds"] < 90
    assert 60 <= client.get("/api/v1/exports/").json()["results"][0]["lag_seconds"] < 90
    actions.stop_export(export=export, by=ANN, now=now())
    assert client.get(address).json()["lag_seconds"] is None


def test_metrics_tell_the_lag_of_each_live_export(live, behind, client):
    export = started_long_ago(live())
    behind(60)
    lines = client.get("/metrics").content.decode().splitlines()
    (line,) = [line for line in lines if line.startswith("portal_live_lag_seconds{")]
    assert f'export="{export.pk}",project="{export.project.account_id}"' in line
    assert 60 <= float(line.rsplit(" ", 1)[1]) < 90
