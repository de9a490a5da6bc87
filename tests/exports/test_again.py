"""Duplicate, and continue from where a stopped export stood."""

from datetime import timedelta

import pytest

from exports import actions, again, tick
from exports.models import Export, Held, Run, Shard, Status
from exports.rejected import ConsentNeeded
from exports.spec import ExportSpec, spec_of
from exports_portal.common.errors import Refused
from partners.actions import disconnect
from tests.exports.conftest import ANN, deliver, edit, now, skip_waits, today, unique, work_once


def stop(export: Export) -> Export:
    return actions.stop_export(export=export, by=ANN, now=now())


def test_a_duplicate_is_a_new_export_with_the_same_settings(recurring):
    old = stop(recurring(name="Nightly", excluded_properties=("Phone",)))
    new = again.duplicate_export(export=old, by=ANN, now=now())
    assert (new.pk != old.pk, new.status, new.name) == (True, Status.PENDING, "Nightly (copy)")
    assert spec_of(new).excluded_properties == ("Phone",)


def test_names_of_new_exports_differ_from_those_that_are_there(recurring):
    old = stop(recurring(name="Nightly (copy)"))
    assert again.continue_export(export=old, by=ANN, now=now()).name == "Nightly (continued)"
    assert again.duplicate_export(export=old, by=ANN, now=now()).name == "Nightly (copy 2)"
    assert len(again.duplicate_export(export=recurring(name="x" * 200), by=ANN, now=now()).name) < 200


def test_a_duplicate_of_an_old_one_time_export_covers_days_that_may_be_chosen(one_time, project):
    old = one_time()
    Export.objects.update(date_from=today(project) - timedelta(days=90))
    old.refresh_from_db()
    assert again.duplicate_export(export=old, by=ANN, now=now()).date_from == today(project) - timedelta(days=60)


def test_a_continued_export_sends_the_rest_of_the_window_and_everything_after_it_once(capture, recurring, sandbox):
    capture(3500)
    old = recurring()
    sandbox.faults({"kind": "status", "status": 503, "contains": '"Number": 3000'})
    deliver(old, slices=1)
    old = stop(old)
    sent = len(sandbox.events())
    assert 0 < sent < 3500
    capture(10)
    sandbox.clear_faults()
    new = deliver(again.continue_export(export=old, by=ANN, now=now()))
    actions.run_now(export=new, by=ANN, now=now())
    new = deliver(new)
    assert new.delivered == 3510 - sent
    assert len(sandbox.events()) == len(unique(sandbox)) == 3510


def test_what_may_count_twice_is_continued_with_consent_only(capture, recurring, sandbox):
    capture(30)
    old = recurring()
    sandbox.faults({"kind": "status", "status": 500})
    deliver(old, slices=1)
    old = stop(old)
    assert Shard.objects.get().unconfirmed == 30
    Run.objects.update(finished_at=now() - timedelta(days=8))
    with pytest.raises(ConsentNeeded, match="30 records were sent without an answer"):
        again.continue_export(export=old, by=ANN, now=now())
    sandbox.clear_faults()
    assert deliver(again.continue_export(export=old, consent=True, by=ANN, now=now())).delivered == 30


def test_what_was_held_is_taken_over_and_stays_counted_on_the_old_export(capture, recurring, sandbox):
    capture(6, people=3)
    old = recurring()
    sandbox.faults({"kind": "throttle", "users": ["person-0000"], "count": 1})
    deliver(old, slices=1)
    old = stop(old)
    new = again.continue_export(export=old, by=ANN, now=now())
    work_once(new)
    skip_waits(new)
    new = deliver(new)
    assert (new.read, new.delivered, new.held) == (2, 2, 0)
    assert Shard.objects.get(run__export=old).held == Held.objects.filter(export=old).count() == 2
    assert len(unique(sandbox)) == 6


def test_a_live_export_goes_on_at_its_cursor(capture, integration, project, sandbox):
    spec = ExportSpec(integration.pk, "live")
    old = actions.create_export(project=project, spec=spec, by=ANN, now=now())
    capture(2)
    work_once(old)
    old = stop(old)
    capture(3)
    new = again.continue_export(export=old, by=ANN, now=now())
    work_once(new)
    assert Run.objects.with_counts().get(export=new).delivered == 3
    assert len(sandbox.events()) == 5


def test_an_export_is_continued_once_and_only_when_stopped(recurring, one_time, integration):
    old = recurring()
    with pytest.raises(Refused, match="Only a STOPPED one"):
        again.continue_export(export=old, by=ANN, now=now())
    again.continue_export(export=stop(old), by=ANN, now=now())
    with pytest.raises(Refused, match="continued already"):
        again.continue_export(export=old, by=ANN, now=now())
    with pytest.raises(Refused, match="one-time"):
        again.continue_export(export=stop(one_time()), by=ANN, now=now())


def test_an_export_of_a_disconnected_partner_is_not_continued(recurring, integration):
    old = stop(recurring())
    disconnect(integration=integration, by=ANN, now=now())
    with pytest.raises(Exception, match="integration"):
        again.continue_export(export=old, by=ANN, now=now())
    assert Export.objects.count() == 1


def test_a_live_export_that_had_a_recurring_window_open_streams_at_once_when_it_is_continued(
    capture, project, integration, sandbox
):
    spec = ExportSpec(integration.pk, "recurring", every_hours=4, start_date=today(project) - timedelta(days=1))
    capture(4)
    export = actions.create_export(project=project, spec=spec, by=ANN, now=now())
    sandbox.faults({"kind": "status", "status": 503})
    tick.tick(now=now())
    work_once(export)
    edit(export, frequency="live", every_hours=None, start_date=None)
    actions.stop_export(export=export, by=ANN, now=now())
    sandbox.clear_faults()
    new = again.continue_export(export=Export.objects.get(pk=export.pk), by=ANN, now=now())
    for _ in range(3):
        tick.tick(now=now())
        skip_waits(new)
        work_once(new)
    capture(5)
    tick.tick(now=now())
    work_once(new)
    assert len(unique(sandbox)) == 9
