"""Recurring exports: every event captured since the start is in exactly one window, on the project's boundaries."""

from datetime import timedelta

import psycopg
import pytest
from django.db import connection

from exports import actions, tick
from exports.models import Export, Run, Status
from exports.spec import ExportSpec, spec_of
from exports_portal.common.errors import Invalid, Refused
from tests.exports.conftest import ANN, deliver, now, today, unique


def test_a_start_in_the_past_runs_at_once_and_waits_for_the_next_boundary(capture, recurring, sandbox):
    capture(10)
    export = deliver(recurring())
    assert (export.status, export.delivered) == (Status.PENDING, 10)
    assert export.next_run_at is not None
    assert now() < export.next_run_at <= now() + timedelta(hours=12)


def test_a_start_in_the_future_is_pending_until_its_first_boundary(capture, recurring, sandbox):
    capture(10)
    export = deliver(recurring(days_back=-1), slices=1)
    assert (export.status, export.runs.count()) == (Status.PENDING, 0)


def test_each_run_owns_what_was_captured_since_the_one_before(capture, recurring, sandbox):
    capture(10)
    export = deliver(recurring())
    capture(7)
    tick.tick(now=export.next_run_at)
    export = deliver(export)
    assert (export.status, export.delivered, export.runs.count()) == (Status.PENDING, 17, 2)
    assert [run.read for run in Run.objects.with_counts().order_by("sequence")] == [10, 7]
    assert len(sandbox.events()) == len(unique(sandbox)) == 17


def test_windows_of_runs_meet_without_gap(capture, recurring, sandbox):
    export = deliver(recurring())
    tick.tick(now=export.next_run_at)
    deliver(export)
    first, second = export.runs.order_by("sequence")
    assert second.from_tx_id == first.until_tx_id
    assert second.window_start == first.window_end


def test_missed_boundaries_collapse_into_one_run(capture, recurring, sandbox):
    export = deliver(recurring(every_hours=4))
    tick.tick(now=now() + timedelta(days=3))
    assert export.runs.count() == 2
    export.refresh_from_db()
    assert export.next_run_at > now() + timedelta(days=3)


def test_an_upload_that_commits_late_falls_into_the_next_window(capture, recurring, sandbox, project):
    capture(3)
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters) as late:
        late.execute(
            "INSERT INTO events_event (project_id, name_id, person_id, uid, tx_id, received_at, occurred_at, identity,"
            " clevertap_id, lane, properties, flags)"
            " SELECT project_id, name_id, person_id, gen_random_uuid(), pg_current_xact_id()::text::bigint, now(),"
            " occurred_at, identity, clevertap_id, lane, properties, flags FROM events_event LIMIT 1"
        )
        capture(2)
        export = deliver(recurring())
        assert export.delivered == 3
        late.commit()
    actions.run_now(export=export, by=ANN, now=now())
    export = deliver(export)
    assert export.delivered == 6
    assert len(unique(sandbox)) == 6


def test_run_now_sends_what_came_since_and_keeps_the_cycle(capture, recurring, sandbox):
    export = deliver(recurring())
    due = export.next_run_at
    capture(4)
    actions.run_now(export=export, by=ANN, now=now())
    export = deliver(export)
    assert (export.delivered, export.next_run_at, export.status) == (4, due, Status.PENDING)
    first, second = export.runs.order_by("sequence")
    assert first.window_end == second.window_start < second.window_end


def test_run_now_is_for_recurring_exports_only(capture, one_time):
    with pytest.raises(Refused, match="Only recurring"):
        actions.run_now(export=one_time(), by=ANN, now=now())


def test_events_received_before_the_start_are_not_sent(capture, recurring, sandbox, project):
    capture(5)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_event SET received_at = now() - interval '9 days'")
    capture(2)
    assert deliver(recurring(days_back=2)).delivered == 2


def test_an_edit_applies_from_the_next_run(capture, recurring, sandbox):
    capture(3, name="Charged")
    capture(2, name="Searched")
    export = deliver(recurring())
    spec = ExportSpec(**{**vars(spec_of(export)), "events": "selected", "selected_events": ("Charged",)})
    actions.edit_export(export=export, spec=spec, version=export.version, by=ANN, now=now())
    capture(3, name="Charged")
    capture(2, name="Searched")
    actions.run_now(export=export, by=ANN, now=now())
    assert deliver(export).delivered == 8


def test_a_changed_frequency_restarts_the_cycle_at_midnight_and_skips_nothing(capture, recurring, sandbox, project):
    export = deliver(recurring())
    capture(5)
    tomorrow = today(project) + timedelta(days=1)
    spec = ExportSpec(**{**vars(spec_of(export)), "every_hours": 24, "start_date": tomorrow})
    export = actions.edit_export(export=export, spec=spec, version=export.version, by=ANN, now=now())
    assert export.next_run_at.astimezone(project.tz).hour == 0
    assert export.next_run_at.astimezone(project.tz).date() == tomorrow
    tick.tick(now=export.next_run_at)
    assert deliver(export).delivered == 5


def test_a_second_editor_is_told(recurring):
    export = recurring()
    spec = ExportSpec(**{**vars(spec_of(export)), "name": "Mine"})
    actions.edit_export(export=export, spec=spec, version=1, by=ANN, now=now())
    with pytest.raises(Refused, match="changed this export"):
        actions.edit_export(export=export, spec=spec, version=1, by=ANN, now=now())


def test_one_time_and_stopped_exports_cannot_be_edited(recurring, one_time):
    export = one_time()
    with pytest.raises(Refused, match="You cannot edit a One time export"):
        actions.edit_export(export=export, spec=spec_of(export), version=None, by=ANN, now=now())
    export = actions.stop_export(export=recurring(), by=ANN, now=now())
    with pytest.raises(Refused, match="STOPPED"):
        actions.edit_export(export=export, spec=spec_of(export), version=None, by=ANN, now=now())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"every_hours": 5}, "every_hours"),
        ({"start_date": None}, "start_date"),
        ({"frequency": "hourly"}, "frequency"),
        ({"events": "selected"}, "selected_events"),
        ({"events": "selected", "selected_events": ("No such event",)}, "selected_events"),
        ({"identifier_priority": ("identity", "identity")}, "identifier_priority"),
        ({"type": "people"}, "type"),
        ({"name": "x" * 201}, "name"),
        ({"integration_id": 0}, "integration"),
        ({"date_from": "today"}, "date_from"),
    ],
    ids=str,
)
def test_wrong_input_is_named_at_its_field_and_nothing_is_saved(project, integration, changes, field):
    good = ExportSpec(integration.pk, "recurring", every_hours=12, start_date=today(project))
    with pytest.raises(Invalid) as refused:
        actions.create_export(project=project, spec=ExportSpec(**{**vars(good), **changes}), by=ANN, now=now())
    assert set(refused.value.errors) == {field}
    assert not Export.objects.exists()


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [(-61, 0, "date_from"), (-61, -61, "date_to"), (0, 1, "date_to"), (-1, -2, "date_to"), (None, 0, "date_from")],
)
def test_a_one_time_export_covers_the_last_sixty_days_and_no_future(project, integration, first, last, field):
    day = today(project)
    dates = [None if days is None else day + timedelta(days=days) for days in (first, last)]
    spec = ExportSpec(integration.pk, "one_time", date_from=dates[0], date_to=dates[1])
    with pytest.raises(Invalid) as refused:
        actions.create_export(project=project, spec=spec, by=ANN, now=now())
    assert field in refused.value.errors
