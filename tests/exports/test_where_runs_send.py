"""A run sends through the integration it was created with, where the key works, and only while that may send."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exports import actions, rejected, runs, tick
from exports.delivery import lease as leases
from exports.models import Export, Held, Rejected, Run, Shard, Status
from exports.spec import ExportSpec, spec_of
from exports_portal.common.errors import Refused
from partners import actions as partner_actions
from partners.models import Integration
from tests.exports.conftest import ANN, KEY, deliver, now, skip_waits, today, unique, work_once
from tests.factories import IntegrationFactory

OTHER_KEY = "f" * 32


def regions(sandbox) -> list[str]:
    return [request["region"] for request in sandbox.requests()]


def test_a_run_refused_in_the_wrong_region_goes_on_in_the_right_one_once_that_is_chosen(
    capture, one_time, sandbox, integration
):
    sandbox.register_keys("standard", [KEY])
    capture(10)
    export = one_time()
    work_once(export)
    assert Integration.objects.get().setup_fault
    partner_actions.edit_integration(
        integration=integration, nickname="Growth", values={"data_residency": "standard"}, by=ANN, now=now()
    )
    skip_waits(export)
    done = deliver(export)
    assert (done.status, done.delivered, done.last_error) == (Status.DONE, 10, "")
    assert Run.objects.get().settings["integration"]["data_residency"] == "standard"
    assert not Integration.objects.get().setup_fault
    assert regions(sandbox)[-1] == "standard"


def test_an_edit_of_the_region_leaves_a_run_that_works_where_it_is(capture, one_time, sandbox, integration):
    capture(10)
    export = one_time()
    partner_actions.edit_integration(
        integration=integration, nickname="Growth", values={"data_residency": "standard"}, by=ANN, now=now()
    )
    assert deliver(export).delivered == 10
    assert set(regions(sandbox)) == {"europe"}


def test_an_export_moved_to_another_integration_ends_its_run_through_the_old_one(
    capture, project, sandbox, integration
):
    """Held records keep the pair of key and region that they were first sent with."""
    spec = ExportSpec(integration.pk, "recurring", every_hours=4, start_date=today(project) - timedelta(days=1))
    capture(10, people=2)
    sandbox.faults({"kind": "throttle", "users": ["person-0001"], "count": 1})
    export = actions.create_export(project=project, spec=spec, by=ANN, now=now())
    tick.tick(now=now())
    work_once(export)
    assert Held.objects.count() == 5
    other = partner_actions.create_integration(
        project=project,
        partner="amplitude",
        nickname="Standard",
        values={"api_key": OTHER_KEY, "data_residency": "standard"},
        by=ANN,
        now=now(),
    )
    moved = ExportSpec(other.pk, "recurring", every_hours=4, start_date=spec.start_date)
    actions.edit_export(export=export, spec=moved, version=None, by=ANN, now=now())
    with pytest.raises(Refused, match="1 active export uses"):
        partner_actions.disconnect(integration=integration, by=ANN, now=now())
    skip_waits(export)
    work_once(export)
    assert set(regions(sandbox)) == {"europe"}
    capture(3)
    actions.run_now(export=Export.objects.get(pk=export.pk), by=ANN, now=now())
    deliver(export)
    assert regions(sandbox)[-1] == "standard"
    assert len(unique(sandbox)) == 13


def test_a_pause_of_the_integration_ends_the_slices_that_are_under_way(capture, one_time, sandbox, integration):
    one_time()
    lease = leases.claim(Shard.objects.get().pk)
    assert lease is not None
    assert lease.guard() is leases.Guard.GO
    partner_actions.pause(integration=integration, until=now() + timedelta(seconds=15))
    assert lease.guard() is leases.Guard.HALT


def test_what_went_through_a_disconnected_integration_is_not_queued_for_ever(
    capture, recurring, sandbox, project, integration
):
    export = recurring(every_hours=4)
    capture(1, name="Poison")
    sandbox.faults({"kind": "refuse_events", "event_type": "Poison"})
    actions.run_now(export=export, by=ANN, now=now())
    deliver(export)
    other = IntegrationFactory(project=project)
    moved = replace(spec_of(export), integration_id=other.pk)
    actions.edit_export(export=export, spec=moved, version=None, by=ANN, now=now())
    partner_actions.disconnect(integration=integration, by=ANN, now=now())
    with pytest.raises(Refused, match=f"“{integration.nickname}” has been disconnected"):
        rejected.resend(export=export, ids=[Rejected.objects.get().pk], by=ANN, now=now())
    assert Rejected.objects.get().resend_at is None


@pytest.fixture
def queued(capture, one_time, sandbox) -> Export:
    """A DONE export with a rejected record that is to be sent again."""
    capture(3)
    capture(1, name="Poison")
    sandbox.faults({"kind": "refuse_events", "event_type": "Poison"})
    export = deliver(one_time())
    rejected.resend(export=export, ids=[Rejected.objects.get().pk], by=ANN, now=now())
    return export


def test_an_integration_with_records_to_send_again_is_not_disconnected(queued, integration):
    with pytest.raises(Refused, match="being sent again"):
        partner_actions.disconnect(integration=integration, by=ANN, now=now())


def test_a_disconnected_integration_gets_no_request(capture, one_time, integration):
    one_time()
    Integration.objects.update(disconnected_at=now())
    assert leases.claim(Shard.objects.get().pk) is None


def test_a_fault_met_while_sending_again_is_said_on_a_done_export_too(queued, sandbox):
    sandbox.clear_faults()
    sandbox.faults({"kind": "invalid_key", "count": 1})
    from exports.delivery import worker

    worker.work(Shard.objects.get().pk)
    assert "API key" in Export.objects.get().last_error
    partner_actions.resume(integration=Integration.objects.get())
    assert Export.objects.get().last_error == ""


def test_stop_takes_back_what_a_done_export_would_send_again_and_is_refused_when_there_is_nothing(queued, integration):
    actions.stop_export(export=queued, by=ANN, now=now())
    assert Export.objects.get().status == Status.DONE
    assert Rejected.objects.get().resend_at is None
    assert Shard.objects.get().resend_at is None
    with pytest.raises(Refused, match="DONE"):
        actions.stop_export(export=queued, by=ANN, now=now())
    partner_actions.disconnect(integration=integration, by=ANN, now=now())


def test_what_is_continued_keeps_its_device_id_mapping(capture, project, sandbox, integration):
    """Held records may have been sent before; with another device_id a repeat would count twice."""
    export = actions.create_export(project=project, spec=ExportSpec(integration.pk, "live"), by=ANN, now=now())
    actions.stop_export(export=export, by=ANN, now=now())
    partner_actions.edit_integration(
        integration=integration, nickname="Growth", values={"device_id_mapping": "none"}, by=ANN, now=now()
    )
    from exports.again import continue_export

    new = continue_export(export=Export.objects.get(pk=export.pk), by=ANN, now=now())
    assert spec_of(new) == replace(spec_of(export), name="Growth (continued)")
    assert Run.objects.get(export=new).settings["integration"]["device_id_mapping"] == "clevertap_id"
    assert runs.frozen_settings(new)["integration"]["device_id_mapping"] == "none"
