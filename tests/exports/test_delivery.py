"""A run delivers every record of its window once, and its counts add up, whatever Amplitude answers."""

from collections import Counter
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from events.ingest import ingest
from exports import actions, lifecycle
from exports.delivery import lease as leases
from exports.delivery import ledger, worker
from exports.delivery.exchange import Exchange, Hold
from exports.delivery.resend import GONE
from exports.models import Export, Held, Rejected, Run, Shard, Skipped, Status
from exports.spec import ExportSpec
from partners.actions import create_integration, edit_integration
from partners.contract import Encoded, Encodings, Skip
from partners.models import Integration
from tests.exports.conftest import ANN, KEY, deliver, now, skip_waits, today, unique, work_once


def test_a_one_time_export_goes_from_pending_over_running_to_done(capture, one_time, sandbox):
    capture(5)
    export = one_time()
    assert export.status == Status.PENDING
    lifecycle.run_started(export.runs.get(), now=now())
    export.refresh_from_db()
    assert export.status == Status.RUNNING
    assert deliver(export).status == Status.DONE


def test_everything_captured_arrives_once_event_by_event(capture, one_time, sandbox):
    records = capture(4_321)
    done = deliver(one_time())
    arrived = unique(sandbox)
    assert (done.read, done.delivered) == (4_321, 4_321)
    assert len(sandbox.events()) == 4_321
    assert Counter(
        (event["user_id"], event["time"], event["event_properties"]["Number"]) for event in arrived
    ) == Counter((record["identity"], record["ts"] * 1000, record["evtData"]["Number"]) for record in records)
    assert {event["event_properties"]["Title"] for event in arrived} == {"Café ☕ “Ünïcode”"}


def test_events_of_one_person_arrive_in_order(capture, one_time, sandbox):
    capture(3_000, people=3)
    deliver(one_time())
    last: dict[str, int] = {}
    for event in unique(sandbox):
        assert last.get(event["user_id"], 0) <= event["time"]
        last[event["user_id"]] = event["time"]


def test_only_the_chosen_events_are_sent(capture, one_time, sandbox):
    capture(30, name="Charged")
    capture(30, name="Searched")
    done = deliver(one_time(events="selected", selected_events=("Charged",)))
    assert {event["event_type"] for event in unique(sandbox)} == {"Charged"}
    assert done.read == 30


@pytest.mark.parametrize("region", ["europe", "standard"])
def test_a_region_gets_nothing_that_belongs_to_the_other(capture, one_time, sandbox, integration, region):
    edit_integration(integration=integration, nickname="Growth", values={"data_residency": region}, by=ANN, now=now())
    capture(10)
    deliver(one_time())
    assert len(sandbox.events(region=region)) == 10
    assert {request["region"] for request in sandbox.requests()} == {region}


def test_an_empty_run_is_done_and_notices_a_refused_key(one_time, sandbox):
    sandbox.faults({"kind": "invalid_key"})
    done = deliver(one_time())
    assert (done.status, done.read) == (Status.DONE, 0)
    assert Integration.objects.get().setup_fault


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500, "accept": True},
        {"kind": "status", "status": 504, "accept": True, "html": True},
        {"kind": "close"},
        {"kind": "close", "accept": True},
        {"kind": "not_json", "accept": True},
        {"kind": "throttle_all"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_a_passing_fault_is_waited_out_and_doubles_nothing(capture, one_time, sandbox, fault):
    capture(2_500)
    sandbox.faults({**fault, "count": 2})
    export = one_time()
    work_once(export)
    export.refresh_from_db()
    assert (export.status, bool(export.last_error)) == (Status.RUNNING, True)
    for _ in range(4):
        skip_waits(export)
        Integration.objects.update(paused_until=None)
        work_once(export)
    done = Export.objects.with_counts().get(pk=export.pk)
    assert (done.status, done.delivered, done.unconfirmed, done.last_error) == (Status.DONE, 2_500, 0, "")
    assert len(unique(sandbox)) == 2_500


def test_an_unknown_outcome_is_shown_as_unconfirmed_until_it_is_settled(capture, one_time, sandbox):
    capture(10)
    sandbox.faults({"kind": "status", "status": 502, "accept": True, "count": 1})
    export = one_time()
    work_once(export)
    assert Shard.objects.get().unconfirmed == 10
    skip_waits(export)
    assert deliver(export).unconfirmed == 0


def test_later_records_of_a_held_id_queue_behind_it(capture, one_time, sandbox):
    capture(2_000, people=2_000)
    capture(5, identity="person-0001")
    sandbox.faults({"kind": "throttle", "users": ["person-0001"], "user_id": "person-0001", "count": 1})
    export = one_time()
    work_once(export)
    counts = Export.objects.with_counts().get(pk=export.pk)
    assert (counts.delivered, counts.held) == (1_999, 6)


def test_ids_that_amplitude_refuses_are_rejected_before_sending(capture, one_time, sandbox):
    capture(5)
    capture(2, identity="bob")
    done = deliver(one_time())
    assert (done.delivered, done.rejected) == (5, 2)
    assert set(Rejected.objects.values_list("reason", "field")) == {("id_too_short", "user_id")}


def test_an_identity_that_amplitude_refuses_falls_back_to_the_next_identifier(project, capture, one_time, sandbox):
    capture(2, identity="bob")
    profile = {"type": "profile", "identity": "bob", "profileData": {"Email": "bob@example.com"}}
    assert not ingest(project=project, records=[profile], now=now()).refused
    assert deliver(one_time()).delivered == 2
    assert {event["user_id"] for event in unique(sandbox)} == {"bob@example.com"}


def test_records_without_a_usable_identifier_are_skipped_and_counted(project, sandbox, capture):
    phones = create_integration(
        project=project,
        partner="amplitude",
        nickname="Phones",
        values={"api_key": KEY, "device_id_mapping": "none", "user_id_mapping": "phone"},
        by=ANN,
        now=now(),
    )
    capture(6)
    last = today(project)
    spec = ExportSpec(
        phones.pk, "one_time", date_from=last - timedelta(days=1), date_to=last, identifier_priority=("phone",)
    )
    done = deliver(actions.create_export(project=project, spec=spec, by=ANN, now=now()))
    assert (done.status, done.read, done.skipped) == (Status.DONE, 6, 6)
    assert Shard.objects.get().skip_reasons == {"no_identifier": 6}
    assert Skipped.objects.count() == 6


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"rejected": [(1, GONE)]},
        {"held": [(1, ["u:person-0001"], Hold(1.0, "wait"))]},
        {"skipped": [(1, Skip("no"))]},
    ],
    ids=["delivered", "rejected", "held", "skipped"],
)
def test_a_worker_that_lost_its_lease_writes_nothing(others, capture, one_time, sandbox):
    capture(3)
    export = one_time()
    run = Run.objects.get()
    shard = Shard.objects.get()
    old = leases.claim(shard.pk)
    assert old is not None
    Shard.objects.update(lease_until=now() - timedelta(seconds=1))
    new = leases.claim(shard.pk)
    assert new is not None
    assert not old.renew()
    with pytest.raises(ledger.LeaseLost):
        ledger.settle(
            run=run,
            lease=old,
            sums=ledger.Tally(delivered=3, **others),
            cursor=(now(), 3),
            last=True,
            unconfirmed=0,
            in_flight=0,
            batch_records=None,
            refused_in_row=0,
            control_id=None,
            now=now(),
        )
    shard.refresh_from_db()
    assert (shard.read, shard.cursor_id, shard.takeovers) == (0, 0, 1)
    assert (Rejected.objects.count(), Held.objects.count(), Skipped.objects.count()) == (0, 0, 0)
    assert export.status == Status.PENDING


def test_a_shard_under_lease_is_not_taken_twice(capture, one_time, sandbox):
    capture(3)
    one_time()
    shard = Shard.objects.get()
    assert leases.claim(shard.pk) is not None
    assert leases.claim(shard.pk) is None


def test_what_a_dead_worker_had_in_flight_is_unconfirmed_until_sent_again(capture, one_time, sandbox):
    capture(3)
    export = one_time()
    shard = Shard.objects.get()
    dead = leases.claim(shard.pk)
    assert dead is not None
    ledger.mark_in_flight(dead, 3)
    Shard.objects.update(lease_until=now() - timedelta(seconds=1))
    taken = leases.claim(shard.pk)
    assert taken is not None
    assert (taken.taken_over, taken.unconfirmed) == (True, 3)
    taken.release()
    assert deliver(export).unconfirmed == 0


def test_the_sums_are_guarded_by_the_database(capture, one_time, sandbox):
    from django.db import IntegrityError

    one_time()
    with pytest.raises(IntegrityError, match="everything_accounted_for"):
        Shard.objects.update(read=1)


def test_stop_closes_at_once_and_nothing_more_is_sent(capture, one_time, sandbox):
    capture(10)
    export = one_time()
    stopped = actions.stop_export(export=export, by=ANN, now=now())
    worker.work(Shard.objects.get().pk)
    assert stopped.status == Status.STOPPED
    assert sandbox.requests() == []
    assert actions.stop_export(export=export, by=ANN, now=now()).status == Status.STOPPED


def test_what_was_answered_before_the_click_is_in_a_one_time_export_and_later_events_are_not(
    capture, one_time, sandbox
):
    capture(10)
    export = one_time()
    capture(10)
    assert deliver(export).read == 10


def test_a_large_run_is_cut_into_shards_and_each_person_stays_in_one(capture, one_time, sandbox, settings):
    settings.PORTAL_ROWS_PER_SHARD = 500
    capture(2_100, people=50)
    done = deliver(one_time())
    assert list(Shard.objects.order_by("index").values_list("index", "of")) == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert (done.status, done.delivered, len(unique(sandbox))) == (Status.DONE, 2_100, 2_100)


def test_a_key_that_cannot_be_decrypted_is_a_setup_fault(capture, one_time, sandbox, settings):
    capture(3)
    export = one_time()
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    work_once(export)
    export.refresh_from_db()
    assert "PORTAL_ENCRYPTION_KEYS" in export.last_error
    assert (export.status, export.needs_attention, sandbox.requests()) == (Status.RUNNING, True, [])


def test_three_days_after_a_key_was_lost_its_export_is_stopped_and_others_are_delivered(
    project, capture, one_time, sandbox, settings
):
    capture(3)
    lost = one_time()
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    work_once(lost)
    Export.objects.update(failing_since=now() - actions.GIVE_UP)
    values = {"api_key": KEY}
    other = create_integration(project=project, partner="amplitude", nickname="Other", values=values, by=ANN, now=now())
    spec = ExportSpec(other.pk, "recurring", every_hours=12, start_date=today(project) - timedelta(days=1))
    done = deliver(actions.create_export(project=project, spec=spec, by=ANN, now=now()))
    lost = Export.objects.defer("integration__secrets").get(pk=lost.pk)
    assert (lost.status, "PORTAL_ENCRYPTION_KEYS" in lost.stop_reason) == (Status.STOPPED, True)
    assert done.delivered == 3


def test_an_unforeseen_failure_is_told_and_tried_again(capture, one_time, sandbox):
    capture(3)
    export = one_time()
    run = export.runs.get()
    Run.objects.update(settings={})
    work_once(export)
    export.refresh_from_db()
    shard = Shard.objects.get()
    assert "The portal itself failed" in export.last_error
    assert (shard.failures, shard.lease_until, shard.not_before is None) == (1, None, False)
    Run.objects.update(settings=run.settings)
    skip_waits(export)
    done = deliver(export)
    assert (done.status, done.delivered, done.last_error) == (Status.DONE, 3, "")


def test_after_a_stop_not_even_a_probe_is_sent(integration, sandbox):
    sender = integration.adapter.sender(integration.settings, integration.secrets)
    sandbox.faults({"kind": "forbidden"})
    answers = iter([leases.Guard.GO, leases.Guard.HALT])
    body = Encoded(b'{"event_type":"a","user_id":"person-0001","insert_id":"1","time":1}', "person-0001", None, 0)
    result = Exchange(sender, lambda: next(answers), waiting={}).run(Encodings.of([], [body]))
    sender.close()
    assert result.guard is leases.Guard.HALT
    assert len(sandbox.requests()) == 1
    assert (result.accepted, result.others) == ([], {})
