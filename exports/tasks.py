"""Celery's entries: messages carry ids only, and the database decides whether there is anything to do."""

from datetime import UTC, datetime

from celery import shared_task

from events import positions
from exports import erasure, retention
from exports import tick as tick_module
from exports.delivery import worker
from exports_portal.common import bells, heartbeat
from exports_portal.common.database import may_go_away

PURGE_SECONDS = 5.0  # then the worker's turn ends, so that a warm shutdown is short


@shared_task(name="exports.tasks.tick")
def tick() -> None:
    with may_go_away():
        tick_module.tick(now=datetime.now(UTC))
        heartbeat.beat()
        bells.ring_roll_up()


@shared_task(name="exports.tasks.captured")
def captured(project_id: int) -> None:
    """Something of the project was captured: its live exports go on."""
    with may_go_away():
        tick_module.wake(now=datetime.now(UTC), project_id=project_id)


@shared_task(name="exports.tasks.work")
def work(shard_id: int) -> None:
    with may_go_away():
        worker.work(shard_id)


@shared_task(name="exports.tasks.erase")
def erase() -> None:
    """Goes on with deleting what is stored of people who were deleted; cheap when there is nothing to do."""
    with may_go_away():
        erasure.go_on(now=datetime.now(UTC))


@shared_task(name="exports.tasks.purge")
def purge() -> None:
    """Rung by beat, and by itself until nothing is left to delete."""
    with may_go_away():
        if positions.is_restored_dump():  # /ready says so, and what to do
            return
        if not retention.purge(now=datetime.now(UTC), seconds=PURGE_SECONDS).is_complete:
            bells.ring_purge()
