"""Two integrations and a few exports for the demo project, delivered to the Amplitude sandbox."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from exports import actions
from exports.models import EventChoice, ExportType, Frequency
from exports.spec import ExportSpec
from exports_portal.common.audit import PORTAL
from partners.actions import create_integration
from partners.models import Integration
from projects.models import Project

INTEGRATIONS = (
    ("Growth analytics", {"api_key": "d3e0" * 7 + "9f3c", "data_residency": "europe"}),
    (
        "Campaign attribution",
        {"api_key": "d3e0" * 7 + "77ab", "data_residency": "standard", "user_id_mapping": "email"},
    ),
)


class Command(BaseCommand):
    help = "Adds demo integrations and exports to the demo project, once. Only where both regions are the sandbox."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--project", required=True, help="account id of the demo project")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.get(account_id=options["project"])
        if len(settings.PORTAL_SANDBOX) < 2 or project.integrations.exists():
            return
        now = datetime.now(UTC)
        growth, campaigns = (
            create_integration(
                project=project, partner="amplitude", nickname=nickname, values=values, by=PORTAL, now=now
            )
            for nickname, values in INTEGRATIONS
        )
        for spec in _specs(growth, campaigns, project=project, now=now):
            actions.create_export(project=project, spec=spec, by=PORTAL, now=now)


def _specs(growth: Integration, campaigns: Integration, *, project: Project, now: datetime) -> list[ExportSpec]:
    today = now.astimezone(project.tz).date()
    days_ago = {days: today - timedelta(days=days) for days in (1, 3, 7, 30)}
    return [
        ExportSpec(growth.pk, Frequency.ONE_TIME, name="Last month", date_from=days_ago[30], date_to=days_ago[1]),
        ExportSpec(
            growth.pk,
            Frequency.ONE_TIME,
            name="Purchases of the week",
            events=EventChoice.SELECTED,
            selected_events=("Charged", "Product Viewed", "Added To Cart"),
            date_from=days_ago[7],
            date_to=days_ago[1],
        ),
        ExportSpec(growth.pk, Frequency.RECURRING, every_hours=12, start_date=days_ago[3]),
        ExportSpec(
            campaigns.pk, Frequency.RECURRING, events=EventChoice.ENGAGEMENT, every_hours=24, start_date=days_ago[7]
        ),
        ExportSpec(growth.pk, Frequency.ONE_TIME, name="All people", type=ExportType.USER_PROFILES),
        ExportSpec(
            growth.pk,
            Frequency.RECURRING,
            name="User traits",
            type=ExportType.USER_PROFILES,
            every_hours=24,
            start_date=days_ago[7],
        ),
    ]
