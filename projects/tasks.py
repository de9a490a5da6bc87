"""Celery's entry: beat rings it."""

from datetime import UTC, datetime

from celery import shared_task

from exports_portal.common.database import may_go_away
from projects import sign_ins


@shared_task(name="projects.tasks.forget")
def forget() -> None:
    with may_go_away():
        sign_ins.forget(now=datetime.now(UTC))
