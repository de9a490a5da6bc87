"""Stop from every state, and what a new export takes over from a stopped one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from exports import actions, again, tick
from exports.delivery import ledger
from exports.delivery.lease import claim
from exports.models import Export, Shard, Status
from exports_portal.common.errors import Refused
from tests.exports.conftest import ANN, deliver, edit, flow, now, skip_waits, today, unique
from tests.exports.requests_out import request_out, settle


@dataclass
class States:
    """Each method makes an export that has come so far, with a partner who takes everything from then on."""

    one_time: Callable[..., Export]
    recurring: Callable[..., Export]
    live: Callable[..., Export]
    sandbox: Any

    def not_taken_up(self) -> Export:
        return self.one_time()

    def before_its_start(self) -> Export:
        return self.recurring(days_back=-2)

    def due(self) -> Export:
        return self.recurring()

    def being_read(self) -> Export:
        export = self.recurring()
        tick.tick(now=now())
        assert claim(Shard.objects.get().pk)
        return export

    def waiting_for_its_next_run(self) -> Export:
        return deliver(self.recurring())

    def live_and_resting(self) -> Export:
        return flow(self.live())

    def live_and_edited_a_moment_ago(self) -> Export:
        return edit(flow(self.live()), name="New")

    def backing_off(self) -> Export:
        return self._after({"kind": "status", "status": 503})

    def kept_from_sending_by_a_setup_fault(self) -> Export:
        return self._after({"kind": "invalid_key"})

    def draining_what_is_held(self) -> Export:
        return self._after({"kind": "throttle", "users": ["person-0000"]})

    def _after(self, fault: dict[str, Any]) -> Export:
        export = self.recurring()
        self.sandbox.faults(fault)
        deliver(export, slices=1)
        self.sandbox.clear_faults()
        return export


def stop(export: Export) -> Export:
    return actions.stop_export(export=export, by=ANN, now=now())


@pytest.mark.parametrize("state", [name for name in vars(States) if not name.startswith("_")])
def test_an_export_is_stopped_from_every_state_and_sends_nothing_more(
    capture, one_time, recurring, live, sandbox, state
):
    capture(3)
    export = getattr(States(one_time, recurring, live, sandbox), state)()
    capture(2)
    requests = len(sandbox.requests())
    export = stop(export)
    assert (export.status, export.next_run_at) == (Status.STOPPED, None)
    assert not export.runs.active().exists()
    skip_waits(export)
    actions.stop_failing(now=now())
    assert tick.tick(now=now()) == 0
    assert not any(claim(shard.pk) for shard in Shard.objects.all())
    assert len(sandbox.requests()) == requests
    assert stop(export).status == Status.STOPPED


def test_what_is_done_is_not_stopped_and_it_says_why(one_time, sandbox):
    with pytest.raises(Refused, match="everything has been sent, so there is nothing to stop"):
        stop(deliver(one_time()))


def test_a_request_that_is_out_when_its_export_is_continued_is_counted_once(capture, recurring, sandbox):
    capture(5)
    old = recurring()
    tick.tick(now=now())
    lease, batch = request_out(Shard.objects.get())
    old = stop(old)
    new = again.continue_export(export=old, by=ANN, now=now())
    with pytest.raises(ledger.LeaseLost):
        settle(lease, batch)
    new = deliver(new)
    old = Export.objects.with_counts().get(pk=old.pk)
    assert (old.read, old.in_flight, old.unconfirmed) == (0, 0, 5)
    assert (new.read, new.delivered, len(unique(sandbox))) == (5, 5, 5)


def test_a_request_that_is_settled_before_its_export_is_continued_is_not_sent_again(capture, recurring, sandbox):
    capture(5)
    old = recurring()
    tick.tick(now=now())
    lease, batch = request_out(Shard.objects.get())
    old = stop(old)
    settle(lease, batch)
    new = deliver(again.continue_export(export=old, by=ANN, now=now()))
    assert (Export.objects.with_counts().get(pk=old.pk).delivered, new.read) == (5, 0)


def test_what_was_captured_while_it_was_stopped_belongs_to_the_new_export(capture, recurring, sandbox):
    capture(2)
    old = deliver(recurring())
    promised = old.next_run_at
    stop(old)
    capture(3)
    new = again.continue_export(export=old, by=ANN, now=now())
    assert new.next_run_at == promised
    actions.run_now(export=new, by=ANN, now=now())
    assert (deliver(new).delivered, len(unique(sandbox))) == (3, 5)


def test_an_export_that_never_ran_is_continued_before_its_start(recurring):
    old = recurring(days_back=-2)
    promised = old.next_run_at
    new = again.continue_export(export=stop(old), by=ANN, now=now())
    assert (new.status, new.next_run_at, new.captured_from) == (Status.PENDING, promised, old.captured_from)


def test_a_stopped_export_is_duplicated_from_today_on_and_owns_nothing_of_the_old_one(capture, recurring, sandbox):
    capture(3)
    old = stop(deliver(recurring(days_back=5)))
    new = again.duplicate_export(export=old, by=ANN, now=now())
    assert (new.start_date, new.continues_id) == (today(new.project), None)
    with pytest.raises(Refused, match="Only a STOPPED one"):
        again.continue_export(export=new, by=ANN, now=now())
