"""Rejected records are sent again after a fix, with the same insert_id, counted on their original run."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from events.ingest import ingest
from exports import actions, rejected
from exports.delivery import resend as again
from exports.delivery import worker
from exports.delivery.exchange import Exchange
from exports.delivery.lease import claim
from exports.models import Export, Rejected, Shard, Status
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.models import AuditEntry
from partners.actions import disconnect, edit_integration
from tests.exports.conftest import ANN, deliver, now, unique, work_once
from tests.portal import wait_until

POISON = "Poison"


@pytest.fixture
def refused(capture, one_time, sandbox) -> Export:
    """An export that is DONE with 20 delivered and 3 rejected records."""
    capture(20)
    capture(3, name=POISON)
    sandbox.faults({"kind": "refuse_events", "event_type": POISON})
    export = deliver(one_time())
    assert (export.status, export.delivered, export.rejected) == (Status.DONE, 20, 3)
    return export


def resend(export: Export, **choice) -> int:
    return rejected.resend(export=export, by=ANN, now=now(), **choice)


def work(export: Export) -> Export:
    for shard in Shard.objects.filter(run__export=export, resend_at__lte=now()):
        worker.work(shard.pk)
    return Export.objects.with_counts().get(pk=export.pk)


def all_ids() -> list[int]:
    return list(Rejected.objects.order_by("pk").values_list("pk", flat=True))


def test_after_a_fix_all_of_a_reason_are_delivered_and_the_run_stays_done(refused, sandbox):
    sandbox.clear_faults()
    payloads = {row.record_id: row.payload for row in Rejected.objects.all()}
    assert resend(refused, reason=Rejected.objects.first().reason) == 3
    export = work(refused)
    assert (export.status, export.read, export.delivered, export.rejected) == (Status.DONE, 23, 23, 0)
    assert not Rejected.objects.exists()
    sent = {event["insert_id"] for event in unique(sandbox) if event["event_type"] == POISON}
    assert all(any(insert_id in payload for payload in payloads.values()) for insert_id in sent)
    assert len(sent) == 3


def test_a_selection_sends_only_these(refused, sandbox):
    sandbox.clear_faults()
    first, *others = all_ids()
    assert resend(refused, ids=[first]) == 1
    export = work(refused)
    assert (export.delivered, export.rejected, all_ids()) == (21, 2, others)


def test_what_is_refused_again_stays_with_the_new_reason_and_one_attempt_more(refused, sandbox):
    sandbox.clear_faults()
    sandbox.faults({"kind": "refuse_events", "event_type": POISON, "field": "price"})
    resend(refused, ids=all_ids())
    export = work(refused)
    assert (export.delivered, export.rejected) == (20, 3)
    assert {(row.field, row.attempts, row.resend_at) for row in Rejected.objects.all()} == {("price", 2, None)}
    assert Shard.objects.get().resend_at is None


def test_a_changed_mapping_mends_ids_that_were_too_short(project, capture, one_time, sandbox, integration):
    capture(2, identity="abc")
    profile = {"type": "profile", "identity": "abc", "profileData": {"Email": "abc@example.com"}}
    assert not ingest(project=project, records=[profile], now=now()).refused
    export = deliver(one_time(identifier_priority=("identity",)))
    assert export.rejected == 2
    edit_integration(integration=integration, nickname="Growth", values={"user_id_mapping": "email"}, by=ANN, now=now())
    resend(export, reason="id_too_short")
    assert work(export).delivered == 2
    assert {event["user_id"] for event in unique(sandbox)} == {"abc@example.com"}


def test_the_device_id_stays_as_it_was_first_sent(refused, sandbox, integration):
    devices = {event["device_id"] for event in unique(sandbox)}
    sandbox.clear_faults()
    edit_integration(
        integration=integration, nickname="Growth", values={"device_id_mapping": "none"}, by=ANN, now=now()
    )
    resend(refused, ids=all_ids())
    work(refused)
    assert {event.get("device_id") for event in unique(sandbox)} == devices


def test_a_throttled_one_waits_and_is_sent_later(refused, sandbox):
    sandbox.clear_faults()
    sandbox.faults({"kind": "throttle", "users": ["person-0000"], "count": 1})
    resend(refused, ids=all_ids())
    export = work(refused)
    waiting = Rejected.objects.get()
    assert (export.delivered, export.rejected) == (22, 1)
    assert waiting.resend_at == Shard.objects.get().resend_at > now()
    Rejected.objects.update(resend_at=now())
    Shard.objects.update(resend_at=now(), not_before=None)
    assert work(refused).rejected == 0


def test_an_outage_keeps_them_queued(refused, sandbox):
    sandbox.clear_faults()
    sandbox.faults({"kind": "status", "status": 503, "count": 1})
    resend(refused, ids=all_ids())
    assert work(refused).rejected == 3
    Shard.objects.update(not_before=None)
    assert work(refused).rejected == 0


def test_stop_clears_what_is_queued_also_on_a_stopped_export(capture, one_time, sandbox):
    capture(5)
    capture(1, name=POISON)
    sandbox.faults({"kind": "refuse_events", "event_type": POISON}, {"kind": "throttle", "users": ["person-0003"]})
    export = one_time()
    work_once(export)
    actions.stop_export(export=export, by=ANN, now=now())
    sandbox.clear_faults()
    before = len(sandbox.requests())
    resend(export, ids=all_ids())
    actions.stop_export(export=export, by=ANN, now=now())
    assert work(export).rejected == 1
    assert len(sandbox.requests()) == before
    resend(export, ids=all_ids())
    export = work(export)
    assert (export.status, export.rejected, export.held) == (Status.STOPPED, 0, 1)


def test_an_answer_that_was_lost_leaves_them_queued_and_nothing_is_doubled_after_dedup(refused, sandbox):
    sandbox.clear_faults()
    sandbox.faults({"kind": "close", "accept": True, "count": 1})
    resend(refused, ids=all_ids())
    assert work(refused).rejected == 3
    Shard.objects.update(not_before=None)
    assert work(refused).delivered == 23
    assert len(unique(sandbox)) == 23


@dataclass
class Meanwhile:
    """A sender to which something happens while its request is out."""

    sender: Any
    happens: Callable[[], object]

    def send(self, batch: Any) -> Any:
        verdict = self.sender.send(batch)
        self.happens()
        return verdict


def send_again(export: Export, *, meanwhile: Callable[[], object]) -> None:
    """A worker sends what is queued of an export's only shard."""
    shard = Shard.objects.get(run__export=export)
    lease, integration = claim(shard.pk), export.integration
    assert lease is not None
    sender = integration.adapter.sender(integration.settings, integration.secrets)
    exchange = Exchange(Meanwhile(sender, meanwhile), lease.guard_resend, waiting={})
    again.resend(run=shard.run, lease=lease, exchange=exchange, limits=sender.limits, now=now())
    lease.release()
    sender.close()


THROTTLED = {"kind": "throttle", "users": ["person-0000", "person-0001", "person-0002"]}


@pytest.mark.parametrize("fault", [THROTTLED, {"kind": "status", "status": 503}], ids=["throttled", "away"])
@pytest.mark.parametrize("ended", [True, False], ids=["ended", "going on"])
def test_a_stop_while_the_request_is_out_holds_whatever_is_answered(refused, sandbox, fault, ended):
    sandbox.clear_faults()
    sandbox.faults(fault)
    resend(refused, ids=all_ids())
    if ended:
        send_again(refused, meanwhile=lambda: actions.stop_export(export=refused, by=ANN, now=now()))
        assert not Rejected.objects.filter(resend_at__isnull=False).exists()
    else:  # the records have not been forgotten yet, only their shard's time
        send_again(refused, meanwhile=lambda: Shard.objects.update(resend_at=None))
    shard = Shard.objects.get()
    assert (shard.resend_at, shard.rejected) == (None, 3)


def test_a_stop_while_the_request_is_out_holds_for_its_records_though_another_is_queued(refused, sandbox):
    sandbox.clear_faults()
    sandbox.faults(THROTTLED)
    *some, other = all_ids()

    def stop_and_choose_another() -> None:
        actions.stop_export(export=refused, by=ANN, now=now())
        resend(refused, ids=[other])

    resend(refused, ids=some)
    send_again(refused, meanwhile=stop_and_choose_another)
    assert Rejected.objects.get(resend_at__isnull=False).pk == other
    assert Shard.objects.get().resend_at == Rejected.objects.get(pk=other).resend_at


def test_records_older_than_seven_days_need_consent(refused, sandbox):
    Rejected.objects.update(created_at=now() - timedelta(days=8))
    with pytest.raises(Refused, match="more than 7 days ago"):
        resend(refused, ids=all_ids())
    assert not Rejected.objects.filter(resend_at__isnull=False).exists()
    assert resend(refused, ids=all_ids(), consent=True) == 3


def many_rejected(export: Export, count: int) -> None:
    """As after a backfill with a wrong mapping: `count` more of one reason."""
    shard = Shard.objects.get()
    Shard.objects.update(read=F("read") + count, rejected=F("rejected") + count)
    Rejected.objects.bulk_create(
        Rejected(run_id=shard.run_id, shard=shard, record_id=-number, reason="many", created_at=now())
        for number in range(1, count + 1)
    )


def test_no_transaction_queues_more_than_ten_thousand_records(refused):
    many_rejected(refused, 10_001)
    assert resend(refused, reason="many") == 10_001
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM exports_rejected WHERE reason = 'many' GROUP BY xmin::text ORDER BY 1")
        assert cursor.fetchall() == [(1,), (10_000,)]
    assert sum(entry.after["records"] for entry in AuditEntry.objects.filter(action="export.resend")) == 10_001


def test_a_stop_in_between_leaves_nothing_queued(capture, one_time, sandbox):
    capture(1, name=POISON)
    sandbox.faults({"kind": "refuse_events", "event_type": POISON}, {"kind": "throttle", "users": ["person-0003"]})
    capture(5)
    export = one_time()
    work_once(export)
    many_rejected(export, 40_000)
    with ThreadPoolExecutor(1) as pool:
        resending = pool.submit(closing_connections(lambda: resend(export, reason="many")))
        wait_until(lambda: Rejected.objects.filter(resend_at__isnull=False).exists(), every=0.01)
        actions.stop_export(export=export, by=ANN, now=now())
        assert resending.result() > 0
    assert not Rejected.objects.filter(resend_at__isnull=False).exists()
    assert Shard.objects.get().resend_at is None


def closing_connections(call: Callable[[], int]) -> Callable[[], int]:
    def run() -> int:
        try:
            return call()
        finally:
            connection.close()

    return run


def test_pressing_twice_queues_once(refused):
    assert [resend(refused, ids=all_ids()), resend(refused, ids=all_ids())] == [3, 0]


@pytest.mark.parametrize("choice", [{}, {"ids": []}, {"ids": [1], "reason": "x"}, {"reason": "no such"}])
def test_a_choice_that_is_none_is_named(refused, choice):
    with pytest.raises(Invalid):
        resend(refused, **choice)


def test_records_of_another_export_are_refused(refused, one_time, capture):
    other = one_time()
    with pytest.raises(Invalid, match="not rejected records here"):
        rejected.resend(export=other, ids=all_ids(), by=ANN, now=now())


def test_nothing_goes_out_for_a_disconnected_integration(refused, integration):
    disconnect(integration=integration, by=ANN, now=now())
    with pytest.raises(Refused, match="disconnected"):
        resend(refused, ids=all_ids())


def test_the_file_is_safe_from_formulas(refused):
    Rejected.objects.filter(pk=all_ids()[0]).update(message="=HYPERLINK(1)", payload="@SUM(A1)", field="-1")
    header, first, *others = "".join(rejected.as_csv(Rejected.objects.all())).splitlines()
    assert header.startswith("id,run,run_id,reason,field,message")
    assert ",'-1,'=HYPERLINK(1)," in first
    assert first.endswith(",'@SUM(A1)")
    assert len(others) == 2
