"""The tick: rings for what is free, and its cost is set by what is due."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Timer

import pytest
import time_machine
from django.db import connection

from exports import tick
from exports.delivery.lease import Lease, claim, longest
from exports.models import Run, Shard, Status
from exports_portal.common import bells, heartbeat
from partners.actions import ASK_EVERY, edit_integration, may_ask
from partners.models import Integration
from projects.models import Project
from tests.exports.conftest import ANN, deliver, flow, now, work_once
from tests.exports.transactions import open_writer
from tests.factories import ExportFactory, IntegrationFactory


def fill(queue: str) -> None:
    for _ in range(tick.UNHEARD):
        bells.ring_shard(0, queue=queue)


def test_no_more_bells_are_rung_than_the_queue_has_room_for(one_time, live):
    """Bells that nobody has heard for a while would be rung again, and pile up for ever."""
    one_time(), live()
    fill("bulk")
    assert tick.tick(now=now()) == 1
    assert Shard.objects.get(rung_at=None).run.export.frequency == "one_time"


def test_a_backfill_takes_no_room_from_live_exports_nor_the_other_way_round(one_time, live):
    one_time(), live()
    fill("live")
    assert tick.tick(now=now()) == 1
    assert Shard.objects.get(rung_at=None).run.export.frequency == "live"


def test_a_step_that_fails_keeps_nobody_from_the_steps_after_it(one_time, recurring, caplog):
    export = recurring()
    broken = Project.objects.create(account_id="TST-000-0009", name="Odd", timezone="No/Where", zone_changed=True)
    waiting = ExportFactory(
        project=broken, integration=IntegrationFactory(project=broken), recurring=True, start_date=now().date()
    )
    assert tick.tick(now=now()) == 1
    assert export.runs.count() == 1
    assert waiting.runs.count() == 0
    failed = [record.msg for record in caplog.records if record.msg["event"] == "tick.failed"]
    assert failed[0]["step"] == "follow_zones"


def test_a_lost_bell_is_rung_again(one_time):
    one_time()
    assert [tick.tick(now=now()) for _ in range(2)] == [1, 0]
    Shard.objects.update(rung_at=now() - timedelta(seconds=2 * tick.RING_AGAIN_SECONDS))
    assert tick.tick(now=now()) == 1


def test_a_claim_waits_for_whoever_looks_at_the_shard_for_a_moment(one_time):
    """Its bell would be wasted, and the next one comes in seconds."""
    one_time()
    shard = Shard.objects.get()
    with open_writer() as other:
        other.execute("SELECT id FROM exports_shard FOR UPDATE")
        Timer(0.1, other.commit).start()
        assert claim(shard.pk) is not None


def test_a_claim_does_not_wait_for_a_process_that_was_stopped_in_a_transaction(one_time):
    one_time()
    with open_writer() as stopped:
        stopped.execute("SELECT id FROM exports_shard FOR UPDATE")
        assert claim(Shard.objects.get().pk) is None
    assert claim(Shard.objects.get().pk) is not None


def test_of_two_claims_at_once_one_gets_the_shard(one_time):
    one_time()
    shard = Shard.objects.get()
    with open_writer() as first, ThreadPoolExecutor(2) as pool:
        first.execute("SELECT id FROM exports_shard FOR UPDATE")  # both wait for it
        claims = [pool.submit(claim_in_thread, shard.pk) for _ in range(2)]
        time.sleep(0.2)
        first.commit()
        leases = [done.result() for done in claims]
    assert sorted(lease is not None for lease in leases) == [False, True]
    assert Shard.objects.get().fence == shard.fence + 1


def claim_in_thread(shard_id: int) -> Lease | None:
    try:
        return claim(shard_id)
    finally:
        connection.close()


def test_nothing_is_rung_for_an_integration_that_may_not_send(one_time):
    one_time()
    Integration.objects.update(setup_fault="Amplitude does not know the API key.")
    assert tick.tick(now=now()) == 0
    Integration.objects.update(setup_fault="", paused_until=now() + timedelta(minutes=1))
    assert tick.tick(now=now()) == 0


def test_the_end_of_a_run_asks_for_a_tick_only_when_the_next_one_is_due(recurring):
    export = recurring()
    tick.tick(now=now())
    with heartbeat.connect() as redis:
        redis.delete("tick")
        work_once(export)
        assert Run.objects.get().status == Status.DONE
        assert redis.llen("tick") == 0


def test_many_runs_with_nothing_to_send_ask_about_the_key_once(recurring, sandbox):
    exports = [recurring(name=str(number)) for number in range(5)]
    with time_machine.travel(now(), tick=False):
        assert [deliver(export).status for export in exports] == [Status.PENDING] * 5
    assert Run.objects.filter(status=Status.DONE).count() == 5
    assert len(sandbox.requests()) == 1


def test_the_key_is_asked_about_again_after_a_while_and_when_it_was_changed(integration):
    moment = now()
    assert may_ask(integration=integration, now=moment)
    assert not may_ask(integration=integration, now=moment + ASK_EVERY / 2)
    assert may_ask(integration=integration, now=moment + ASK_EVERY)
    assert may_ask(integration=integration, now=moment - ASK_EVERY / 2), "the clock stepped back"
    assert not may_ask(integration=integration, now=moment)
    edit_integration(
        integration=integration, nickname="Growth", values={"api_key": "f" * 32}, by=ANN, now=moment + ASK_EVERY
    )
    assert may_ask(integration=integration, now=moment + ASK_EVERY)


@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        (tick.FREE_SHARDS, ["open_shards", "shards_to_resend", "exports_run_pkey"]),
        (tick.ORPHANS, ["orphaned_shards"]),
    ],
)
def test_shards_are_found_by_their_indexes_however_many_runs_lie_behind(one_time, query, indexes):
    one_time()
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"EXPLAIN {query}", {"again": 5, "live": False, "limit": 200, "longest": longest()})
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert [name for name in indexes if name not in plan] == []


def test_live_and_recurring_exports_of_one_integration_share_the_question(recurring, live, sandbox):
    with time_machine.travel(now(), tick=False):
        flow(live())
        deliver(recurring())
    assert len(sandbox.requests()) == 1
