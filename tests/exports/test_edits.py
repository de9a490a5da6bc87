"""Edit an Export: what may change, from when it counts, and that no event falls into the seam."""

from datetime import timedelta

import pytest

from exports import actions, again, tick
from exports.models import Status
from tests.exports.conftest import ANN, deliver, edit, now, today, unique


@pytest.fixture
def restarted(recurring, project):
    """A recurring export that has run, and whose cycle was changed to begin in three days."""
    export = deliver(recurring(every_hours=12))
    return edit(export, every_hours=8, start_date=today(project) + timedelta(days=3))


def test_a_new_frequency_begins_at_midnight_of_the_given_date(restarted, project):
    local = restarted.next_run_at.astimezone(project.tz)
    assert (local.date(), local.hour) == (today(project) + timedelta(days=3), 0)


def test_the_run_at_that_midnight_owns_everything_since_the_last_window(restarted, capture, sandbox):
    capture(3)
    midnight = restarted.next_run_at
    tick.tick(now=midnight)
    export = deliver(restarted)
    assert (export.delivered, export.next_run_at) == (3, midnight + timedelta(hours=8))
    first, second = export.runs.order_by("sequence")
    assert (second.from_tx_id, second.window_start) == (first.until_tx_id, first.window_end)
    assert second.window_end == midnight


def test_run_now_before_that_midnight_leaves_it_in_place_and_ends_its_window_now(restarted, capture, sandbox):
    midnight = restarted.next_run_at
    capture(2)
    run = actions.run_now(export=restarted, by=ANN, now=now())
    assert run.window_start <= run.window_end <= now()
    export = deliver(restarted)
    assert (export.delivered, export.next_run_at) == (2, midnight)


def test_continuing_before_that_midnight_leaves_it_in_place(restarted):
    midnight = restarted.next_run_at
    stopped = actions.stop_export(export=restarted, by=ANN, now=now())
    assert again.continue_export(export=stopped, by=ANN, now=now()).next_run_at == midnight


@pytest.mark.parametrize("hours", [4, 6, 8, 12, 24])
def test_a_cycle_that_begins_today_goes_on_at_the_next_boundary_of_its_grid(recurring, project, hours):
    export = deliver(recurring(every_hours=24 if hours != 24 else 12))
    export = edit(export, every_hours=hours, start_date=today(project))
    local = export.next_run_at.astimezone(project.tz)
    assert now() < export.next_run_at <= now() + timedelta(hours=hours)
    assert (local.hour % hours, local.minute, local.second) == (0, 0, 0)


def test_an_edit_without_a_new_cycle_keeps_the_next_run(recurring):
    export = deliver(recurring())
    assert edit(export, name="Nightly", excluded_properties=("Phone",)).next_run_at == export.next_run_at


def test_a_run_under_way_keeps_its_settings_through_an_edit(capture, recurring, sandbox):
    capture(3)
    export = recurring()
    tick.tick(now=now())
    edit(export, excluded_properties=("Title",))
    capture(2)
    export = deliver(export)
    actions.run_now(export=export, by=ANN, now=now())
    export = deliver(export)
    assert (export.status, export.delivered) == (Status.PENDING, 5)
    shown = [sorted(event["event_properties"]) for event in unique(sandbox)]
    assert shown == [["Number", "Title"]] * 3 + [["Number"]] * 2
