"""What was sent without an answer stays `unconfirmed` until its records have an outcome (rule 7)."""

from datetime import timedelta

import pytest
from django.db import connection

from events.models import Event
from exports import actions, rejected, tick
from exports.delivery import lease as leases
from exports.delivery import ledger, worker
from exports.models import Export, Held, Rejected, Run, Shard
from partners.models import Integration
from tests.exports.conftest import ANN, deliver, now, skip_waits, unique, work_once

LOST = {"kind": "status", "status": 502, "accept": True, "count": 1}
AWAY = {"kind": "status", "status": 503, "count": 1}


def unconfirmed() -> int:
    """As the pages and REST show it."""
    return Export.objects.with_counts().get().unconfirmed


def go_on(export: Export) -> None:
    Integration.objects.update(paused_until=None)
    skip_waits(export)
    work_once(export)


def test_a_refusal_after_it_does_not_settle_it(capture, one_time, sandbox):
    capture(10)
    sandbox.faults(LOST, AWAY)
    export = one_time()
    work_once(export)
    go_on(export)
    actions.stop_export(export=export, by=ANN, now=now())
    assert (unconfirmed(), len(sandbox.events())) == (10, 10)


def test_it_is_settled_with_the_records(capture, one_time, sandbox):
    capture(10)
    sandbox.faults(LOST)
    export = one_time()
    work_once(export)
    assert unconfirmed() == 10
    go_on(export)
    assert (unconfirmed(), len(unique(sandbox))) == (0, 10)


def test_a_stop_before_the_next_request_keeps_it(capture, one_time, sandbox):
    capture(10)
    sandbox.faults(LOST)
    export = one_time()
    work_once(export)
    skip_waits(export)
    lease = leases.claim(Shard.objects.get().pk)
    actions.stop_export(export=export, by=ANN, now=now())
    assert lease is not None
    assert lease.guard() is leases.Guard.HALT
    shard = Shard.objects.select_related("run__export", "run__integration").get()
    worker.Slice(shard, lease).deliver()
    lease.release()
    assert unconfirmed() == 10


def test_a_settling_that_fails_leaves_what_was_in_flight(capture, one_time, sandbox):
    """The database refuses to write: a trigger, as a full disk would."""
    capture(10)
    export = one_time()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN RAISE EXCEPTION 'no space left'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER full_disk BEFORE UPDATE OF delivered ON exports_shard"
            " FOR EACH ROW WHEN (new.delivered <> old.delivered) EXECUTE FUNCTION full_disk()"
        )
    try:
        work_once(export)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION full_disk() CASCADE")
    assert (unconfirmed(), len(sandbox.events())) == (10, 10)
    go_on(export)
    assert (unconfirmed(), len(unique(sandbox))) == (0, 10)


def test_a_probe_without_an_answer_makes_no_refused_record_unconfirmed(capture, one_time, sandbox):
    capture(10)
    sandbox.faults({"kind": "forbidden", "contains": "event_type"}, {"kind": "close"})
    export = one_time()
    work_once(export)
    assert unconfirmed() == 0


def test_of_held_records_it_is_kept_and_settled_apart(capture, one_time, sandbox):
    capture(10, people=2)
    sandbox.faults({"kind": "throttle", "users": ["person-0001"], "count": 1})
    export = one_time()
    work_once(export)
    assert Held.objects.count() == 5
    sandbox.faults(LOST)
    go_on(export)
    assert (unconfirmed(), Held.objects.count()) == (5, 5)
    go_on(export)
    assert (unconfirmed(), Held.objects.count(), len(unique(sandbox))) == (0, 0, 10)


@pytest.fixture
def refused(capture, one_time, sandbox) -> Export:
    """A DONE export with two rejected records."""
    capture(3)
    capture(2, name="Poison")
    sandbox.faults({"kind": "refuse_events", "event_type": "Poison"})
    export = deliver(one_time())
    sandbox.clear_faults()
    return export


def test_of_records_sent_again_it_is_kept_and_settled_apart(refused, sandbox):
    sandbox.faults(LOST, AWAY)
    rejected.resend(export=refused, ids=list(Rejected.objects.values_list("pk", flat=True)), by=ANN, now=now())
    shard = Shard.objects.get()
    for expected in (2, 2, 0):
        Integration.objects.update(paused_until=None)
        Shard.objects.update(not_before=None)
        worker.work(shard.pk)
        assert unconfirmed() == expected


def test_sending_rejected_records_again_settles_nothing_of_the_others(capture, one_time, sandbox):
    capture(4)
    capture(1, identity="abc")  # too short: rejected by ourselves
    sandbox.faults(LOST)
    export = one_time()
    work_once(export)
    actions.stop_export(export=export, by=ANN, now=now())
    shard = Shard.objects.get()
    Shard.objects.update(rejected=1, read=1)
    Rejected.objects.create(run=Run.objects.get(), shard=shard, record_id=0, reason="x", created_at=now())
    rejected.resend(export=export, reason="x", by=ANN, now=now())
    worker.work(shard.pk)
    assert unconfirmed() == 4


def test_a_worker_killed_while_draining_leaves_it(capture, one_time, sandbox):
    capture(10, people=2)
    sandbox.faults({"kind": "throttle", "users": ["person-0001"], "count": 1})
    export = one_time()
    work_once(export)
    skip_waits(export)
    shard = Shard.objects.get()
    lease = leases.claim(shard.pk)
    assert lease is not None
    ledger.mark_in_flight(lease, 5, again=True)  # and then nothing more is heard of this worker
    actions.stop_export(export=export, by=ANN, now=now())
    Shard.objects.update(lease_until=now() - timedelta(seconds=1))
    tick.tick(now=now())
    assert unconfirmed() == 5


def test_a_live_run_is_not_ended_before_it_is_settled(capture, project, integration, sandbox):
    """The next run may have another device id mapping, and then a repeat would count twice."""
    from exports.spec import ExportSpec
    from partners.actions import edit_integration

    export = actions.create_export(project=project, spec=ExportSpec(integration.pk, "live"), by=ANN, now=now())
    tick.tick(now=now())
    work_once(export)
    capture(5)
    sandbox.faults(LOST)
    tick.wake(now=now())
    work_once(export)
    edit_integration(
        integration=integration, nickname="Growth", values={"device_id_mapping": "none"}, by=ANN, now=now()
    )
    Export.objects.update(next_run_at=now())
    for _ in range(4):
        skip_waits(export)
        tick.tick(now=now())
        work_once(export)
    assert (unconfirmed(), len(unique(sandbox)), Run.objects.count()) == (0, 5, 2)


def test_what_is_captured_after_an_edit_waits_for_the_next_run_and_what_is_unconfirmed_does_not(
    capture, project, integration, sandbox
):
    """The edit may keep a property back, or send elsewhere: only what may have been sent goes as it was."""
    from exports.spec import ExportSpec

    export = actions.create_export(project=project, spec=ExportSpec(integration.pk, "live"), by=ANN, now=now())
    tick.tick(now=now())
    work_once(export)
    capture(5)
    sandbox.faults(LOST)
    tick.wake(now=now())
    work_once(export)
    spec = ExportSpec(integration.pk, "live", excluded_properties=("Title",))
    actions.edit_export(export=export, spec=spec, version=None, by=ANN, now=now())
    capture(5)
    for _ in range(4):
        skip_waits(export)
        tick.tick(now=now())
        work_once(export)
    assert ["Title" in event["event_properties"] for event in unique(sandbox)] == [True] * 5 + [False] * 5
    assert unconfirmed() == 0


def test_records_that_are_deleted_meanwhile_stay_unconfirmed_no_longer_than_until_all_is_read(
    capture, one_time, sandbox
):
    capture(10)
    sandbox.faults(LOST)
    export = one_time()
    work_once(export)
    Event.objects.all().delete()
    go_on(export)
    assert unconfirmed() == 0
