"""Celery's entries: beat rings for what is due, a bell carries the id of a source only."""

from datetime import UTC, datetime

from celery import shared_task

from events import positions
from exports_portal.common.database import may_go_away
from sources import work as work_module


@shared_task(name="sources.tasks.due")
def due() -> None:
    with may_go_away():
        if not positions.is_restored_dump():  # /ready says so, and what to do
            work_module.ring_due(now=datetime.now(UTC))


@shared_task(name="sources.tasks.work")
def work(source_id: int) -> None:
    with may_go_away():
        work_module.work(source_id, now=datetime.now(UTC))
