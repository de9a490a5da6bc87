"""What can go wrong, each really done to real processes while an export runs."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import psycopg
import redis

from exports_portal import processes
from tests.faults.scene import SECONDS, Fault, Scene
from tests.portal import wait_until

LEASE = 2.0

STEPS = {
    "claimed": "exports.delivery.lease:claim:return:1",
    "page read": "events.store:read_by_time:return:1",
    "batch encoded": "exports.delivery.batches:encode_rows:return:2",
    "noted as in flight": "exports.delivery.ledger:mark_in_flight:return:1",
    "before a request": "partners.adapters.amplitude:AmplitudeSender.send:call:2",
    "request out": "amplitude_client.client:_Body.__iter__:return:2",
    "answer received": "partners.adapters.amplitude:AmplitudeSender.send:return:2",
    "settling": "exports.delivery.ledger:settle:call:2",
    "after the commit": "exports.delivery.worker:Slice._settle:return:2",
    "before the release": "exports.delivery.lease:Lease.release:call:1",
    "released": "exports.delivery.lease:Lease.release:return:1",
    "closing the run": "exports.lifecycle:_finish:call:1",
}


def killed_at(step: str) -> Fault:
    def fault(scene: Scene) -> None:
        with scene.no_restarts():
            scene.kill(scene.worker())
            scene.begin()
            scene.run_killer(step)
            scene.over()

    return fault


def killed_before_the_commit(scene: Scene) -> None:
    """A person's records must be held: else a batch is settled by one statement, which nothing can stop half way."""
    scene.amplitude.faults({"kind": "throttle", "users": ["shopper-0007@example.com"], "count": 1})
    killed_at("exports.delivery.ledger:_insert_rows:return:1")(scene)


def killed_while_bisecting(scene: Scene) -> None:
    scene.amplitude.faults({"kind": "bad_request", "contains": '"Number": 4321}', "lasts": 60.0})
    killed_at("exports.delivery.exchange:Exchange._halve:return:3")(scene)
    scene.amplitude.clear_faults()


def worker_killed(scene: Scene) -> None:
    scene.begin()
    scene.progress()
    scene.kill(scene.worker())
    scene.over()


def worker_stopped_longer_than_its_lease(scene: Scene) -> None:
    scene.begin()
    scene.progress()
    family = [*scene.worker().children(recursive=True)]
    for member in family:
        member.suspend()
    scene.over()
    time.sleep(LEASE * 2)
    for member in family:
        member.resume()


def shut_down(*signals: signal.Signals) -> Fault:
    def fault(scene: Scene) -> None:
        scene.begin()
        scene.progress()
        worker = scene.worker()
        for number in signals:
            worker.send_signal(number)
        psutil.wait_procs([worker], timeout=20)
        scene.over()

    return fault


@contextmanager
def suspended(process: psutil.Process | None) -> Iterator[None]:
    assert process is not None
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def messages_lost(scene: Scene) -> None:
    scene.begin()
    for _ in range(5):
        redis.Redis.from_url(scene.portal.addresses["redis_url"]).flushall()
        time.sleep(0.1)
    scene.over()


def messages_doubled(scene: Scene) -> None:
    scene.begin()
    ring = "from exports.models import Shard; from exports_portal.common import bells\n"
    ring += (
        "for shard in Shard.objects.filter(open=True): [bells.ring_shard(shard.pk, queue='bulk') for _ in range(50)]"
    )
    scene.progress()
    assert scene.portal.manage("shell", "-c", ring).returncode == 0
    scene.over()


def server_killed(name: str, with_signal: signal.Signals) -> Fault:
    def fault(scene: Scene) -> None:
        scene.begin()
        scene.progress()
        server = scene.portal.child(name)
        assert server is not None
        server.send_signal(with_signal)
        psutil.wait_procs([server], timeout=20)
        scene.over()

    return fault


def redis_stopped(scene: Scene) -> None:
    """It hangs, longer than the workers wait for it. Clicks and uploads are answered all the same."""
    with suspended(scene.portal.child("redis-server")):
        scene.begin()
        profile = {"type": "profile", "identity": "shopper-0001@example.com", "profileData": {"Plan": "gold"}}
        scene.user.upload([profile])
        time.sleep(7)
        assert scene.delivered() == 0
    scene.over()


def connections_cut(scene: Scene) -> None:
    scene.begin()
    scene.progress()
    with psycopg.connect(scene.portal.addresses["database_url"], autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    scene.over()


def transaction_held_open(scene: Scene) -> None:
    """Nothing may be read above the horizon; reading goes on once the foreign transaction has ended."""
    with psycopg.connect(scene.portal.addresses["database_url"]) as connection:
        connection.execute("SELECT pg_current_xact_id()")
        scene.begin()
        time.sleep(2)
        assert scene.delivered() == 0
        connection.rollback()
    scene.over()


def two_beats(scene: Scene) -> None:
    words = ("-q", "-A", "exports_portal", "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile=")
    second = scene.spawn(sys.executable, "-m", "celery", *words)
    try:
        scene.begin()
        scene.progress()
        scene.over()
        time.sleep(2)
    finally:
        processes.end(second)


def no_beat_for_a_while(scene: Scene) -> None:
    with suspended(scene.portal.child("celery", "beat")):
        scene.begin()
        scene.progress()
        scene.kill(scene.worker())
        time.sleep(3)
    scene.over()


def tick_worker_stopped(scene: Scene) -> None:
    """Its session may hold the tick's lock: the tick must go on with the next worker, or when this one wakes."""
    worker = scene.worker("tick")
    scene.begin()
    scene.progress()
    for member in (worker, *worker.children(recursive=True)):
        member.suspend()
    time.sleep(2)
    scene.kill(worker)
    scene.over()


def answers(**fault: object) -> Fault:
    """Amplitude does something wrong, from the second request on: once if it takes the events, else twice."""
    times = 1 if fault.get("accept") else 2

    def do(scene: Scene) -> None:
        scene.begin()
        scene.progress()
        scene.amplitude.faults({**fault, "count": times})
        scene.over()

    return do


def one_after_the_other(*faults: dict[str, object]) -> Fault:
    """Amplitude does these things wrong, once each."""

    def do(scene: Scene) -> None:
        scene.begin()
        scene.progress()
        scene.amplitude.faults(*({**fault, "count": 1} for fault in faults))
        scene.over()

    return do


def poison(scene: Scene) -> None:
    """Its firewall refuses one event, and says nothing of which."""
    scene.amplitude.faults({"kind": "forbidden", "contains": '"Number": 4321}'})
    scene.begin()
    wait_until(lambda: scene.shown("rejected") == 1, seconds=SECONDS)
    scene.over()


def throttled(scene: Scene) -> None:
    """It throttles one person, whose records wait 15 s while the others go on."""
    scene.amplitude.faults({"kind": "throttle", "users": ["shopper-0001@example.com"], "count": 1})
    scene.begin()
    wait_until(lambda: scene.shown("held") > 0, seconds=SECONDS)
    scene.over()


def outage(scene: Scene) -> None:
    scene.begin()
    scene.progress()
    scene.amplitude.faults({"kind": "status", "status": 503})
    time.sleep(4)
    scene.amplitude.clear_faults()
    scene.over()


def invalid_key_mended(scene: Scene) -> None:
    scene.begin()
    scene.progress()
    scene.amplitude.faults({"kind": "invalid_key"})
    time.sleep(2)
    scene.amplitude.clear_faults()
    scene.user.api("POST", f"exports/{scene.export['id']}/retry/", expect=200)
    scene.over()


CATALOGUE: dict[str, Fault] = {
    **{f"kill -9: {name}": killed_at(step) for name, step in STEPS.items()},
    "kill -9: before the commit": killed_before_the_commit,
    "kill -9: while bisecting": killed_while_bisecting,
    "kill -9: all bulk workers": worker_killed,
    "workers stopped (SIGSTOP) for two leases, then continued": worker_stopped_longer_than_its_lease,
    "warm shutdown": shut_down(signal.SIGTERM),
    "cold shutdown": shut_down(signal.SIGQUIT),
    "Celery messages lost (FLUSHALL)": messages_lost,
    "Celery messages doubled 50 times": messages_doubled,
    "Redis killed": server_killed("redis-server", signal.SIGKILL),
    "Redis stopped (SIGSTOP), then continued": redis_stopped,
    "PostgreSQL restarted, fast": server_killed("postgres", signal.SIGINT),
    "PostgreSQL restarted, immediate": server_killed("postgres", signal.SIGQUIT),
    "all database connections cut": connections_cut,
    "a foreign transaction held open": transaction_held_open,
    "two beats": two_beats,
    "no beat, and a worker killed": no_beat_for_a_while,
    "tick worker stopped, then killed": tick_worker_stopped,
    "outage of 4 s (503)": outage,
    "500 after taking the events": answers(kind="status", status=500, accept=True),
    "connection closed after taking the events": answers(kind="close", accept=True),
    "connection closed before": answers(kind="close"),
    "200 that is not JSON": answers(kind="not_json", accept=True),
    "429 without ids": answers(kind="throttle_all"),
    "429 that names an id": throttled,
    "500 after taking the events, then 503, then 429": one_after_the_other(
        {"kind": "status", "status": 500, "accept": True}, {"kind": "status", "status": 503}, {"kind": "throttle_all"}
    ),
    "403 for one event": poison,
    "413": answers(kind="too_large"),
    "slow answers": answers(kind="delay", seconds=3.0),
    "invalid key, mended": invalid_key_mended,
}
# The most telling ones, for every test run.
SHORT = (
    "kill -9: request out",
    "kill -9: before the commit",
    "workers stopped (SIGSTOP) for two leases, then continued",
    "Celery messages lost (FLUSHALL)",
    "Redis stopped (SIGSTOP), then continued",
    "PostgreSQL restarted, immediate",
    "connection closed after taking the events",
)
