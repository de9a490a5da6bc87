"""Celery's entry: rung by the tick, cheap when nothing is new, harmless when rung twice."""

from celery import shared_task

from events import positions, refused_uploads, rollup
from exports_portal.common.database import may_go_away

SECONDS = 2.0  # then the worker's turn ends; the next tick rings again


@shared_task(name="events.tasks.roll_up")
def roll_up() -> None:
    with may_go_away():
        if not positions.is_restored_dump():  # /ready says so, and what to do
            rollup.roll_up_all(seconds=SECONDS)
            refused_uploads.prune()
