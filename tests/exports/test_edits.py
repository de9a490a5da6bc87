"""Edit an Export: what may change, from when it counts, and that no event falls into the seam."""

import re
from datetime import timedelta
from threading import Barrier, Thread

import pytest
import time_machine
from django.db import connection

from exports import actions, again, tick
from exports.history import who_changed
from exports.models import Export, Status
from exports.spec import spec_of
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.models import AuditEntry
from tests.exports.conftest import ANN, deliver, edit, flow, now, today, unique


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
    with time_machine.travel(midnight):
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


def test_an_export_that_was_to_start_later_starts_at_once_when_it_goes_live(capture, recurring, sandbox):
    export = recurring(days_back=-3)
    capture(2)
    export = edit(export, frequency="live", every_hours=None, start_date=None)
    assert export.captured_from <= now()
    capture(3)
    assert flow(export).delivered == 3


def test_an_export_that_was_to_start_later_owns_the_whole_of_an_earlier_first_day(capture, recurring, project, sandbox):
    export = recurring(days_back=-3, every_hours=24)
    capture(2)
    export = edit(export, start_date=today(project))
    assert (export.next_run_at - export.captured_from, export.next_tx_id) == (timedelta(days=1), 0)
    actions.run_now(export=export, by=ANN, now=now())
    assert deliver(export).delivered == 2


def test_nothing_is_run_before_the_start_and_it_says_when_that_is(recurring, project):
    export = recurring(days_back=-3)
    start = today(project) + timedelta(days=3)
    with pytest.raises(Refused, match=rf"starts on {start.day} {start:%b %Y}\. Nothing is captured"):
        actions.run_now(export=export, by=ANN, now=now())


def test_who_edited_first_did_so_in_the_past_whenever_the_others_request_began(recurring):
    export = recurring()
    edit(export, version=1, name="Ann")
    at = AuditEntry.objects.filter(action="export.edit").values_list("at", flat=True).get()
    assert "a few seconds ago" in who_changed(export, now=at - timedelta(seconds=1))


def test_of_two_who_edit_at_the_same_moment_one_is_told(recurring):
    export = recurring()
    outcomes: list[str] = []
    start = Barrier(2)

    def person(name: str) -> None:
        start.wait()
        try:
            edit(Export.objects.get(pk=export.pk), version=1, name=name)
            outcomes.append(name)
        except Refused as refused:
            outcomes.append(str(refused))
        finally:
            connection.close()

    people = [Thread(target=person, args=(name,)) for name in ("Ann", "Ben")]
    for each in people:
        each.start()
    for each in people:
        each.join()
    export.refresh_from_db()
    told = [text for text in outcomes if "changed this export a few seconds ago while you were editing it" in text]
    assert (len(told), export.version, export.name in outcomes) == (1, 2, True)


def test_an_edit_of_an_export_that_was_stopped_meanwhile_is_refused_and_changes_nothing(recurring):
    export = recurring(name="Nightly")
    actions.stop_export(export=export, by=ANN, now=now())
    with pytest.raises(Refused, match="You cannot modify exports marked as STOPPED"):
        edit(export, version=1, name="Mine")
    export.refresh_from_db()
    assert export.name == "Nightly"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start_date": -1}, "has passed. A changed schedule starts today or later"),
        ({"every_hours": 8}, "has passed. A changed schedule starts today or later"),
        ({"every_hours": 5}, "Choose every 4, 6, 8, 12 or 24 hours"),
        ({"type": "user_profiles"}, "You cannot change the export from User Profile to Event and vice-versa"),
        ({"frequency": "one_time"}, "cannot become a one-time export. Create a new export"),
    ],
    ids=str,
)
def test_a_refused_edit_says_why_and_changes_nothing(recurring, project, changes, words):
    export = recurring()
    before = spec_of(export)
    if "start_date" in changes:
        changes = {"start_date": today(project) + timedelta(days=changes["start_date"]), "every_hours": 4}
    with pytest.raises((Invalid, Refused), match=re.escape(words)):
        edit(export, **changes)
    export.refresh_from_db()
    assert (spec_of(export), export.version) == (before, 1)
