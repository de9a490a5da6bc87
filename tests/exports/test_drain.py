"""Held records: what is free goes, what is behind waits without waking anybody."""

from datetime import timedelta

import pytest

from events import store
from events.ingest import ingest
from exports import actions, rejected, tick
from exports.delivery import worker
from exports.models import Export, Held, Rejected, Shard, Status
from tests.exports.conftest import ANN, deliver, now, skip_waits, unique, work_once

QUOTA = {"kind": "quota", "users": ["hot-person"]}


@pytest.fixture
def held(capture, one_time, sandbox) -> Export:
    """Thirty held records of one person under a quota and five of another who is free by now, behind them."""
    capture(30, identity="hot-person")
    capture(5, identity="calm-person")
    sandbox.faults(QUOTA, {"kind": "throttle", "users": ["calm-person"], "count": 1})
    export = one_time()
    work_once(export)
    assert Held.objects.count() == 35
    skip_waits(export)
    return export


def test_records_behind_a_waiting_one_do_not_hide_the_free_ones(held, sandbox):
    Shard.objects.update(batch_records=10)  # the free ones are not among the first ten
    for _ in range(8):
        work_once(held)
    assert {key for ids in Held.objects.values_list("ids", flat=True) for key in ids if key[0] == "u"} == {
        "u:hot-person"
    }


def test_they_wake_no_worker_before_the_first_of_them_may_go(held, sandbox):
    for _ in range(4):
        work_once(held)
    shard = Shard.objects.get()
    assert shard.not_before is not None
    assert shard.not_before > now() + timedelta(minutes=30)
    fence = shard.fence
    tick.tick(now=now())
    work_once(held)
    assert Shard.objects.get().fence == fence


def test_retry_now_tries_them_at_once(held, sandbox):
    work_once(held)
    sandbox.clear_faults()
    actions.retry_export(export=held, by=ANN, now=now())
    export = deliver(held)
    assert (export.status, export.delivered, len(unique(sandbox))) == (Status.DONE, 35, 35)


@pytest.fixture
def held_and_rejected(capture, one_time, sandbox) -> Export:
    """A running export with 5 records of a hot person held, and 6 of a calm one rejected; nothing is refused now."""
    capture(5, identity="hot-person")
    capture(6, name="Poison", identity="calm-person")
    sandbox.faults({"kind": "refuse_events", "event_type": "Poison"}, QUOTA)
    export = one_time()
    work_once(export)
    sandbox.clear_faults()
    return export


def test_records_to_be_sent_again_do_not_wait_for_held_ones(held_and_rejected):
    export = held_and_rejected
    Shard.objects.update(batch_records=2)
    rejected.resend(export=export, reason=Rejected.objects.first().reason, by=ANN, now=now())
    for _ in range(4):
        tick.tick(now=now())
        worker.work(Shard.objects.get().pk)
    assert not Rejected.objects.exists()
    assert Shard.objects.get().not_before > now() + timedelta(minutes=30)


def test_retry_now_sends_rejected_ones_that_were_throttled_too(held_and_rejected, sandbox):
    export = held_and_rejected
    sandbox.faults({"kind": "throttle", "users": ["calm-person"], "count": 1})
    rejected.resend(export=export, reason=Rejected.objects.first().reason, by=ANN, now=now())
    worker.work(Shard.objects.get().pk)
    assert not Rejected.objects.filter(resend_at__lte=now()).exists()
    actions.retry_export(export=export, by=ANN, now=now())
    export = deliver(export)
    assert (export.status, export.delivered, export.rejected) == (Status.DONE, 11, 0)


def test_retry_now_sends_throttled_ones_of_a_run_that_is_done_too(capture, recurring, sandbox):
    export = recurring(every_hours=4)
    capture(2, name="Poison", identity="calm-person")
    sandbox.faults({"kind": "refuse_events", "event_type": "Poison"})
    actions.run_now(export=export, by=ANN, now=now())
    deliver(export)
    shard = Shard.objects.get(read=2)
    sandbox.clear_faults()
    sandbox.faults({**QUOTA, "users": ["calm-person"], "count": 1})
    rejected.resend(export=export, reason=Rejected.objects.first().reason, by=ANN, now=now())
    worker.work(shard.pk)
    shard.refresh_from_db()
    assert (shard.open, shard.not_before > now() + timedelta(minutes=30)) == (False, True)
    actions.retry_export(export=export, by=ANN, now=now())
    worker.work(shard.pk)
    assert not Rejected.objects.exists()


def test_a_persons_order_holds_when_one_of_their_devices_must_wait(project, one_time, sandbox):
    at = int((now() - timedelta(hours=1)).timestamp())
    records = [
        {
            "type": "event",
            "identity": "jane@example.com",
            "objectId": f"device-{'ab'[n % 2]}-of-jane",
            "evtName": "Step",
        }
        | {"ts": at + n, "evtData": {"Number": n}}
        for n in range(10)
    ]
    assert not ingest(project=project, records=records, now=now()).refused
    second = store.latest(project.pk, 1)[0].clevertap_id
    sandbox.faults({"kind": "throttle", "devices": [second], "count": 1})
    export = one_time()
    work_once(export)
    assert Export.objects.with_counts().get(pk=export.pk).held == 9  # the first stands before what must wait
    skip_waits(export)
    assert deliver(export).delivered == 10
    assert [event["event_properties"]["Number"] for event in unique(sandbox)] == list(range(10))


def test_who_shares_an_id_with_what_queues_must_queue_too(project, one_time, sandbox):
    """Jane's second device is throttled, so her first one queues; John uses that one after her."""
    at = int((now() - timedelta(hours=1)).timestamp())
    steps = [
        ("jane@example.com", "two"),
        ("jane@example.com", "one"),
        ("john@example.com", "one"),
        ("jack@example.com", "six"),
    ]
    records = [
        {"type": "event", "identity": who, "objectId": f"device-number-{device}", "evtName": "Step"}
        | {"ts": at + n, "evtData": {"Number": n}}
        for n, (who, device) in enumerate(steps)
    ]
    assert not ingest(project=project, records=records, now=now()).refused
    throttled = {row.properties: row.clevertap_id for row in store.latest(project.pk, 4)}[b'{"Number": 0}']
    sandbox.faults({"kind": "throttle", "devices": [throttled], "count": 1})
    export = one_time()
    work_once(export)
    counts = Export.objects.with_counts().get(pk=export.pk)
    assert (counts.delivered, counts.held) == (1, 3)
