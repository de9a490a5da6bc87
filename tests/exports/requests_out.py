"""A worker's request step by step, for what may happen between two of them."""

from typing import Any

from exports.delivery import ledger
from exports.delivery.batches import BatchReader
from exports.delivery.exchange import Result
from exports.delivery.lease import Lease, claim
from exports.models import Shard
from exports.runs import encode_options
from tests.exports.conftest import now


def request_out(shard: Shard) -> tuple[Lease, Any]:
    """A worker has sent a batch of a shard, or all that it has to send, and waits for the answer."""
    lease = claim(shard.pk)
    assert lease is not None
    run, adapter = shard.run, shard.run.integration.adapter
    sender = adapter.sender(run.integration.settings, run.integration.secrets)
    (batch,) = BatchReader(
        run, shard, adapter.encoder(encode_options(run.settings, now=now())), sender.limits
    ).batches()
    ledger.mark_in_flight(lease, batch.outcomes.sendable)
    sender.send(batch.outcomes)
    return lease, batch


def settle(lease: Lease, batch: Any) -> None:
    """The answer has come: all are accepted."""
    run = Shard.objects.select_related("run").get(pk=lease.shard_id).run
    result = Result(accepted=list(range(len(batch.rows))))
    ledger.settle(
        run=run,
        lease=lease,
        sums=ledger.tally(batch, result, len(batch.rows)),
        cursor=batch.end,
        last=batch.last and not run.is_endless,
        unconfirmed=0,
        in_flight=0,
        batch_records=None,
        refused_in_row=0,
        control_id=None,
        now=now(),
    )
