"""Wake-up bells: tasks sent by name, so that a lower app can wake a higher one.

A bell carries ids only and may be lost or doubled (DESIGN 5.5); when Redis is away the tick does the work.
"""

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


def _ring(task: str, queue: str, *args: int) -> None:
    try:
        current_app.send_task(task, args=args, queue=queue, retry=False, ignore_result=True)
    except OperationalError:
        log.warning("bell.lost", task=task, args=args)


def ring_shard(shard_id: int, *, queue: str) -> None:
    """Wake a worker for a shard. `queue` is live or bulk."""
    _ring("exports.tasks.work", queue, shard_id)


def ring_tick() -> None:
    """Ask for a tick now, instead of within the second."""
    _ring("exports.tasks.tick", "tick")
