"""The cards of the Partner List: each partner with its integrations, their exports and what they wait for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, Sum

from exports_portal.common import words
from partners import actions
from partners.contract import Adapter
from partners.registry import all_adapters
from projects.models import Project


@dataclass(frozen=True)
class IntegrationLine:
    """integration: with active_exports and all_exports. held: records that wait for their ids."""

    integration: Any
    held: int
    now: datetime

    @property
    def pause(self) -> str:
        """Until when nothing is sent because the partner asked for it; empty when it may be sent."""
        until = self.integration.paused_until
        if until is None or until <= self.now or self.integration.setup_fault:
            return ""
        partner = self.integration.adapter.label
        return (
            f"{partner} asked for a pause: sending goes on by itself {words.until(until, now=self.now)}. "
            "Retry now of an export does not wait."
        )

    @property
    def held_note(self) -> str:
        return f"{words.counted(self.held, 'record')} held; their exports say why and until when" if self.held else ""

    @property
    def looks_again(self) -> str:
        """When the portal looks by itself whether a setup fault is mended."""
        probe_at = self.integration.probe_at
        return f"The portal looks again {words.until(probe_at, now=self.now)}." if probe_at else ""


@dataclass(frozen=True)
class Card:
    adapter: Adapter
    integrations: list[IntegrationLine]


def cards(project: Project, *, search: str, now: datetime) -> list[Card]:
    """A card per partner whose name or category has `search` in it; integrations by nickname."""
    active = Count("exports", filter=Q(exports__status__in=actions.ACTIVE_EXPORTS))
    connected = project.integrations.connected().defer("secrets")
    counted = connected.annotate(active_exports=active, all_exports=Count("exports")).order_by("nickname")
    held = _held(project)
    lines = [IntegrationLine(integration, held.get(integration.pk, 0), now) for integration in counted]
    return [
        Card(adapter, [line for line in lines if line.integration.partner == slug])
        for slug, adapter in all_adapters().items()
        if search.lower() in f"{adapter.label} {adapter.category}".lower()
    ]


def _held(project: Project) -> dict[int, int]:
    """How many records are held on the runs under way, by the id of the integration."""
    under_way = project.integrations.filter(runs__shards__open=True)
    return dict(under_way.annotate(held=Sum("runs__shards__held")).values_list("pk", "held"))
