"""Celery's entry: the message carries an id only, and the database decides whether there is anything to do."""

from datetime import UTC, datetime

from celery import shared_task

from exports_portal.common.database import may_go_away
from notifications import dispatch


@shared_task(name="notifications.tasks.send", soft_time_limit=dispatch.LONGEST_TRY)
def send(dispatch_id: int) -> None:
    with may_go_away():
        dispatch.send(dispatch_id, now=datetime.now(UTC))
