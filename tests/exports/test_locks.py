"""Two who write at the same time: neither waits in a circle, and nothing is overlooked."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from django.db import connection, transaction

from events import store
from exports import actions, lifecycle, rejected
from exports.delivery import lease as leases
from exports.delivery import ledger
from exports.delivery.batches import Batch
from exports.delivery.exchange import Hold, Result
from exports.delivery.resend import GONE
from exports.models import Export, Rejected, Run, Shard, Status
from partners.contract import Encodings
from tests.exports.conftest import ANN, deliver, now


def test_stop_and_settling_do_not_wait_for_each_other_in_a_circle(capture, one_time, sandbox):
    """Settling holds the shard and adds a held row of the export; stopping holds the export and wants the shard."""
    capture(3)
    export = one_time()
    run, lease = Run.objects.get(), leases.claim(Shard.objects.get().pk)
    assert lease is not None
    lifecycle.run_started(run, now=now())
    shard_is_held, export_is_held = Event(), Event()

    def stop() -> None:
        try:
            with transaction.atomic():
                shard_is_held.wait(10)
                actions.locked(export)
                export_is_held.set()
                lifecycle.stop(export, by=ANN, now=now())
        finally:
            connection.close()

    sums = ledger.Tally(held=[(1, ["u:person"], Hold(15, "It waits."))], sendable=1)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(stop)
        with transaction.atomic():
            Shard.objects.select_for_update(no_key=True).get()
            shard_is_held.set()
            assert export_is_held.wait(10)
            ledger.settle(
                run=run,
                lease=lease,
                sums=sums,
                cursor=(now(), 3),
                last=False,
                unconfirmed=0,
                in_flight=0,
                batch_records=None,
                refused_in_row=0,
                control_id=None,
                now=now(),
            )
        stopping.result(timeout=30)
    assert Export.objects.get().status == Status.STOPPED
    assert Shard.objects.get().held == 1


def test_what_is_queued_while_others_are_settled_is_sent_too(capture, one_time, sandbox):
    capture(3)
    capture(2, name="Poison")
    sandbox.faults({"kind": "refuse_events", "event_type": "Poison"})
    export = deliver(one_time())
    first, second = Rejected.objects.order_by("pk")
    rejected.resend(export=export, ids=[first.pk], by=ANN, now=now())
    lease = leases.claim(Shard.objects.get().pk)
    assert lease is not None
    row = store.read_by_ids(export.project_id, [first.record_id])[first.record_id]
    queued, may_commit = Event(), Event()

    def queue() -> None:
        try:
            with transaction.atomic():
                rejected.resend(export=export, ids=[second.pk], by=ANN, now=now())
                queued.set()
                may_commit.wait(10)
        finally:
            connection.close()

    def settle() -> None:
        try:
            batch = Batch([row], Encodings.of([row], [GONE]), end=(None, 0))
            ledger.settle_resent(lease=lease, batch=batch, result=Result(accepted=[0]), lost=[], gone=GONE, now=now())
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        queueing = pool.submit(queue)
        assert queued.wait(10)
        settling = pool.submit(settle)  # waits for the shard's row
        may_commit.set()
        queueing.result(timeout=30)
        settling.result(timeout=30)
    second.refresh_from_db()
    assert second.resend_at is not None
    assert Shard.objects.get().resend_at == second.resend_at
