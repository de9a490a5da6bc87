"""Poison is told from a wall: one is rejected alone, under the other nothing is (rule 8)."""

from datetime import timedelta

import pytest

from events.ingest import ingest
from exports import actions, rejected, tick
from exports.models import Export, Held, Rejected, Shard, Status
from exports.spec import ExportSpec
from partners.actions import due_probes, edit_integration
from partners.models import Integration
from partners.tasks import probe
from tests.exports.conftest import ANN, deliver, flow, now, skip_waits, unique, work_once

POISON = {"kind": "forbidden", "contains": "Poison"}
WALL = {"kind": "forbidden", "contains": "event_type"}


def poison_first(project, count: int) -> None:
    """Poisonous events of so many people, before all that `capture` makes."""
    at = int((now() - timedelta(hours=2)).timestamp())
    records = [
        {"type": "event", "identity": f"villain-{n}", "evtName": "Poison", "ts": at + n, "evtData": {}}
        for n in range(count)
    ]
    assert not ingest(project=project, records=records, now=now()).refused


def live(project, integration) -> Export:
    export = actions.create_export(project=project, spec=ExportSpec(integration.pk, "live"), by=ANN, now=now())
    tick.tick(now=now())
    work_once(export)
    return export


def counts(export: Export) -> tuple[str, int, int]:
    row = Export.objects.with_counts().get(pk=export.pk)
    return row.status, row.delivered, row.rejected


@pytest.mark.parametrize("count", [5, 13])
def test_poison_before_anything_was_accepted_is_rejected_and_the_rest_goes_on(
    project, capture, one_time, sandbox, count
):
    poison_first(project, count)
    capture(30)
    sandbox.faults(POISON)
    assert counts(deliver(one_time())) == (Status.DONE, 30, count)
    assert not Integration.objects.get().setup_fault
    assert len(unique(sandbox)) == 30


def test_a_persons_order_holds_when_another_record_tells_poison_from_a_wall(project, capture, one_time, sandbox):
    poison_first(project, 6)
    capture(40, people=3)
    sandbox.faults(POISON)
    deliver(one_time())
    sent = [(event["user_id"], event["time"], event["event_id"]) for event in unique(sandbox)]
    for person in {user for user, *_ in sent}:
        mine = [place for user, *place in sent if user == person]
        assert mine == sorted(mine)


def test_a_413_for_everything_is_a_wall_that_rejects_nothing(capture, one_time, sandbox):
    capture(300)
    sandbox.faults({"kind": "too_large"})
    export = one_time()
    work_once(export)
    assert counts(export) == (Status.RUNNING, 0, 0)
    assert "413" in Integration.objects.get().setup_fault


def test_a_wall_against_single_captures_is_noticed_over_all_slices(capture, project, integration, sandbox):
    export = live(project, integration)
    sandbox.faults(WALL)
    for _ in range(5):
        capture(1)
        tick.wake(now=now())
        work_once(export)
    assert Integration.objects.get().setup_fault
    assert Export.objects.get().needs_attention
    assert counts(export)[2] == 4  # the first four cannot be told from poison; they can be sent again
    assert Rejected.objects.count() == 4


def test_an_accepted_record_ends_the_count(capture, project, integration, sandbox):
    export = live(project, integration)
    sandbox.faults(POISON)
    for name in ["Poison", "Poison", "Searched"] * 4:
        capture(1, name=name)
        tick.wake(now=now())
        work_once(export)
    assert not Integration.objects.get().setup_fault
    assert counts(export)[1:] == (4, 8)
    assert Shard.objects.get().refused_in_row == 0


def test_what_the_portal_itself_tries_under_a_wall_does_not_begin_the_three_days_anew(capture, one_time, sandbox):
    """An empty list passes this wall, so the portal tries records again every ten minutes; none is accepted."""
    capture(40)
    sandbox.faults(WALL)
    export = one_time()
    work_once(export)
    began = now() - timedelta(days=2, hours=23)
    Export.objects.update(failing_since=began)
    (integration_id,) = due_probes(now=now() + timedelta(minutes=11))
    probe(integration_id)
    skip_waits(export)
    work_once(export)
    assert Export.objects.get().failing_since == began
    actions.stop_failing(now=now() + timedelta(hours=2))
    assert Export.objects.get().status == Status.STOPPED


def test_what_has_nothing_to_send_is_not_failing_any_more_once_the_portal_itself_finds_the_fault_over(
    capture, project, integration, one_time, recurring, sandbox
):
    capture(3)
    flow(live(project, integration)), recurring(days_back=-10)
    trying = one_time()
    sandbox.faults({"kind": "invalid_key"})
    work_once(trying)
    assert Export.objects.filter(needs_attention=True, failing_since__isnull=False).count() == 3
    sandbox.clear_faults()
    (integration_id,) = due_probes(now=now() + timedelta(minutes=2))
    probe(integration_id)
    assert not Integration.objects.get().setup_fault
    assert Export.objects.get(failing_since__isnull=False) == trying
    actions.stop_failing(now=now() + actions.GIVE_UP + timedelta(hours=1))
    assert Export.objects.get(status=Status.STOPPED) == trying


def test_a_record_of_an_earlier_slice_tells_poison_from_a_wall(capture, project, integration, sandbox):
    export = live(project, integration)
    capture(3)
    tick.wake(now=now())
    work_once(export)
    sandbox.faults(POISON)
    for _ in range(6):
        capture(1, name="Poison")
        tick.wake(now=now())
        work_once(export)
    assert not Integration.objects.get().setup_fault
    assert counts(export)[1:] == (3, 6)
    assert len(unique(sandbox)) == 3


def test_a_record_delivered_a_week_ago_tells_nothing_as_its_repeat_would_count(capture, project, integration, sandbox):
    export = live(project, integration)
    capture(1)
    tick.wake(now=now())
    work_once(export)
    Shard.objects.update(control_at=now() - timedelta(days=7))
    sandbox.faults(POISON)
    for _ in range(5):
        capture(1, name="Poison")
        tick.wake(now=now())
        work_once(export)
    assert Integration.objects.get().setup_fault
    assert len(sandbox.events()) == 1


def test_poison_that_is_sent_again_is_rejected_again_and_stops_nobody(capture, project, integration, sandbox):
    export = live(project, integration)
    capture(3)
    capture(6, name="Poison", identity="villain")
    sandbox.faults(POISON)
    flow(export)
    assert counts(export)[1:] == (3, 6)
    assert rejected.resend(export=export, reason="forbidden", by=ANN, now=now()) == 6
    capture(2)
    flow(export)
    assert not Integration.objects.get().setup_fault
    assert counts(export)[1:] == (5, 6)
    assert set(Rejected.objects.values_list("attempts", "resend_at")) == {(2, None)}
    assert len(unique(sandbox)) == 5


def test_held_records_that_have_become_poison_are_rejected_and_stop_nobody(capture, project, integration, sandbox):
    export = live(project, integration)
    capture(3)
    flow(export)
    capture(6, name="Poison", identity="villain")
    sandbox.faults({"kind": "throttle", "users": ["villain"], "count": 1})
    flow(export)
    assert Held.objects.count() == 6
    sandbox.faults(POISON)
    skip_waits(export)
    flow(export)
    assert not Integration.objects.get().setup_fault
    assert counts(export)[1:] == (3, 6)


def test_an_export_of_nothing_but_poison_does_not_stop_another_of_its_integration(
    capture, project, integration, one_time, sandbox
):
    other = live(project, integration)
    capture(3)
    flow(other)
    capture(6, name="Poison", identity="villain")
    sandbox.faults(POISON)
    done = deliver(one_time(events="selected", selected_events=["Poison"]))
    assert (done.status, done.delivered, done.rejected) == (Status.DONE, 0, 6)
    assert not Integration.objects.get().setup_fault
    assert len(unique(sandbox)) == 3  # what was repeated to tell counts once


@pytest.mark.parametrize("changed", ["key", "region"])
def test_what_another_key_or_region_took_tells_nothing(changed, capture, project, integration, one_time, sandbox):
    """Repeated there it would count anew."""
    capture(1)
    assert deliver(one_time()).delivered == 1
    values = {"api_key": "f" * 32} if changed == "key" else {"data_residency": "standard"}
    edit_integration(integration=integration, nickname=integration.nickname, values=values, by=ANN, now=now())
    capture(6, name="Poison", identity="villain")
    sandbox.faults(POISON)
    work_once(one_time(integration, events="selected", selected_events=["Poison"]))
    assert Integration.objects.get().setup_fault
    assert [event["event_type"] for event in unique(sandbox)] == ["Product Viewed"]
