"""Wake-up bells: tasks sent by name, so that a lower app can wake a higher one.

A bell carries ids only and may be lost or doubled (rule 5); when Redis is away the tick does the work. So whoever
rings, an upload or a click, hardly waits: one short try, and after a lost bell silence for a moment.
"""

from contextlib import suppress
from time import monotonic

from celery import current_app
from kombu.exceptions import OperationalError
from kombu.pools import producers
from redis.exceptions import RedisError

from exports_portal.common import heartbeat, redis

# Over the connection of the rings alone: workers wait longer for a slow Redis (CELERY_BROKER_TRANSPORT_OPTIONS).
TRANSPORT = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "max_retries": 0}

# Records may be uploaded and runs may end hundreds of times a second; what rings no bell is seen by the next one or
# by beat's tick.
SELDOM_SECONDS = 0.1
SHARD_QUEUES = ("live", "bulk")
_rung: dict[tuple[object, ...], float] = {}


def _ring(task: str, queue: str, *args: int, expires: float | None = None) -> None:
    if redis.is_quiet():
        return
    try:
        with producers[current_app.connection_for_write(transport_options=TRANSPORT)].acquire(block=True) as producer:
            current_app.send_task(
                task, args=args, queue=queue, expires=expires, retry=False, ignore_result=True, producer=producer
            )
    except OperationalError as error:
        redis.no_answer(task, error)


def _ring_seldom(task: str, queue: str, *args: int) -> None:
    """The same bell at most every SELDOM_SECONDS from this process."""
    bell = (task, *args)
    if monotonic() - _rung.get(bell, -SELDOM_SECONDS) >= SELDOM_SECONDS:
        _rung[bell] = monotonic()
        _ring(task, queue, *args)


def ring_shard(shard_id: int, *, queue: str) -> None:
    """Wake a worker for a shard. `queue` is live or bulk."""
    _ring("exports.tasks.work", queue, shard_id)


def unheard() -> dict[str, int]:
    """How many bells wait in each queue of shards; none when Redis is away, and then ringing does no harm either."""
    if not redis.is_quiet():
        with suppress(RedisError), heartbeat.connect() as connection:
            return {queue: connection.llen(queue) for queue in SHARD_QUEUES}
    return dict.fromkeys(SHARD_QUEUES, 0)


def ring_capture(project_id: int) -> None:
    """Tell live exports that the project captured something."""
    _ring_seldom("exports.tasks.captured", "live", project_id)


def ring_probe(integration_id: int) -> None:
    """Look whether an integration's setup fault is over."""
    _ring("partners.tasks.probe", "bulk", integration_id)


def ring_dispatch(dispatch_id: int) -> None:
    """Send a mail or a webhook's call of a notification."""
    _ring("notifications.tasks.send", "bulk", dispatch_id, expires=60)


def ring_tick() -> None:
    """Ask for a tick now, instead of within the second."""
    _ring_seldom("exports.tasks.tick", "tick")


def ring_roll_up() -> None:
    """Ask for the counters to be rolled up; one that waits longer than some ticks is not needed any more."""
    _ring("events.tasks.roll_up", "bulk", expires=10)


def ring_source(source_id: int) -> None:
    """Read on from an account at CleverTap."""
    _ring("sources.tasks.work", "bulk", source_id)


def ring_erase() -> None:
    """Go on with deleting people's records."""
    _ring("exports.tasks.erase", "purge", expires=30)


def ring_purge() -> None:
    """Go on with deleting what is kept no longer."""
    _ring("exports.tasks.purge", "purge", expires=60)
