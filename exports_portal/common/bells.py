"""Wake-up bells: tasks sent by name, so that a lower app can wake a higher one.

A bell carries ids only and may be lost or doubled (DESIGN 5.5); when Redis is away the tick does the work.
"""

from time import monotonic

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

# Single records may be uploaded hundreds of times a second; what rings no bell is seen by the next one or the tick.
CAPTURE_SECONDS = 0.1
_captured: dict[int, float] = {}

log = structlog.get_logger(__name__)


def _ring(task: str, queue: str, *args: int) -> None:
    try:
        current_app.send_task(task, args=args, queue=queue, retry=False, ignore_result=True)
    except OperationalError:
        log.warning("bell.lost", task=task, args=args)


def ring_shard(shard_id: int, *, queue: str) -> None:
    """Wake a worker for a shard. `queue` is live or bulk."""
    _ring("exports.tasks.work", queue, shard_id)


def ring_capture(project_id: int) -> None:
    """Tell live exports that the project captured something; at most every CAPTURE_SECONDS from this process."""
    if monotonic() - _captured.get(project_id, -CAPTURE_SECONDS) >= CAPTURE_SECONDS:
        _captured[project_id] = monotonic()
        _ring("exports.tasks.captured", "live", project_id)


def ring_probe(integration_id: int) -> None:
    """Look whether an integration's setup fault is over."""
    _ring("partners.tasks.probe", "bulk", integration_id)


def ring_tick() -> None:
    """Ask for a tick now, instead of within the second."""
    _ring("exports.tasks.tick", "tick")
