"""What was said of a fault goes away once the partner judges records again, and only then."""

from datetime import timedelta

import pytest

from exports import actions, rejected, tick
from exports.delivery import worker
from exports.models import Export, Rejected, Run, Shard, Status
from exports.spec import ExportSpec
from partners.models import Integration
from tests.exports.conftest import ANN, deliver, now, skip_waits, work_once

AWAY = {"kind": "status", "status": 503, "count": 1}


def is_clear() -> bool:
    export, run, shard = Export.objects.get(), Run.objects.get(), Shard.objects.get()
    return (export.failing_since, export.last_error, run.last_error, shard.failures) == (None, "", "", 0)


def go_on(export: Export) -> None:
    Integration.objects.update(paused_until=None)
    skip_waits(export)
    for shard in Shard.objects.filter(run__export=export):
        worker.work(shard.pk)


def test_accepted_held_records_end_it(capture, one_time, sandbox):
    capture(4, people=2)
    sandbox.faults({"kind": "throttle", "users": ["person-0001"], "count": 1})
    export = one_time()
    work_once(export)
    sandbox.faults(AWAY)
    go_on(export)
    assert not is_clear()
    go_on(export)
    assert is_clear()
    assert Export.objects.get().status == Status.DONE


def test_accepted_rejected_records_end_it(capture, one_time, sandbox):
    capture(1, name="Poison")
    sandbox.faults({"kind": "refuse_events", "event_type": "Poison"})
    export = deliver(one_time())
    sandbox.clear_faults()
    rejected.resend(export=export, ids=[Rejected.objects.get().pk], by=ANN, now=now())
    sandbox.faults(AWAY)
    go_on(export)
    assert not is_clear()
    go_on(export)
    assert is_clear()


def test_a_refusal_with_its_reason_ends_it(capture, project, integration, sandbox):
    export = actions.create_export(project=project, spec=ExportSpec(integration.pk, "live"), by=ANN, now=now())
    tick.tick(now=now())
    work_once(export)
    sandbox.faults(AWAY)
    capture(1, name="Poison")
    tick.wake(now=now())
    work_once(export)
    assert not is_clear()
    sandbox.faults({"kind": "refuse_events", "event_type": "Poison"})
    go_on(export)
    assert is_clear()


def test_another_shards_setup_fault_is_not_hidden(capture, one_time, sandbox):
    capture(3)
    export = one_time()
    Export.objects.update(last_error="The key is refused.", needs_attention=True, failing_since=now())
    shard = Shard.objects.select_related("run__export", "run__integration").get()
    from exports.delivery import lease as leases

    lease = leases.claim(shard.pk)
    assert lease is not None
    slice_ = worker.Slice(shard, lease)
    Integration.objects.update(setup_fault="The key is refused.")
    from exports.delivery.exchange import Result

    slice_._recovered(Result(judged=True))
    row = Export.objects.get(pk=export.pk)
    assert (row.needs_attention, row.last_error, row.failing_since) == (True, "The key is refused.", None)


@pytest.mark.parametrize("hours", [71, 73])
def test_only_three_days_without_a_judged_request_stop_an_export(capture, one_time, sandbox, hours):
    capture(3)
    sandbox.faults(AWAY)
    export = one_time()
    work_once(export)
    actions.stop_failing(now=now() + timedelta(hours=hours))
    assert (Export.objects.get(pk=export.pk).status == Status.STOPPED) is (hours > 72)
