"""Celery's entry for what the portal asks partners by itself."""

from datetime import UTC, datetime

from celery import shared_task

from exports_portal.common.database import may_go_away
from partners import actions
from partners.models import Integration


@shared_task(name="partners.tasks.probe")
def probe(integration_id: int) -> None:
    with may_go_away():
        faulty = Integration.objects.connected().exclude(setup_fault="").defer("secrets")
        integration = faulty.filter(pk=integration_id).first()
        if integration is not None:
            actions.probe(integration=integration, now=datetime.now(UTC))
