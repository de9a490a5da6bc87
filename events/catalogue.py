"""The catalogue of event names: which there are, of which kind, and their ids in the log."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from events.models import EventName
from events.refusals import DISCARDED_NAME, RESERVED_NAME, STRUCTURE, Refusal, event_refusal
from exports_portal.common import audit
from exports_portal.common.audit import Actor
from projects import access
from projects.models import Project, Role

# CleverTap, Amplitude export: 21 rows, Push Impressions twice.
ENGAGEMENT_EVENTS = (
    "Notification Sent",
    "Notification Viewed",
    "Notification Clicked",
    "Push Impressions",
    "Notification Replied",
    "Push Unregistered",
    "Control Group",
    "Channel Unsubscribed",
    "Reachable By",
    "Notification Delivered",
    "AB Experiment Rendered",
    "AB Experiment Stopped",
    "AB Experiment Rolled Out",
    "Geocluster Entered",
    "Geocluster Exited",
    "Reply Sent",
    "App Uninstalled",
    "Webhook Delivered",
    "State Transitioned",
    "UTM Visited",
)
# Raised by CleverTap itself or its SDKs, those above aside (CleverTap, events; platform considerations).
SYSTEM_EVENTS = (
    "App Launched",
    "App Installed",
    "App Version Changed",
    "Session Concluded",
    "Stayed",
    "Notification Bounced",
    "Experiment Rendered",
    "AB Experiment Disqualified",
    "Identity Set",
    "Identity Reset",
    "Identity Error",
    "Partner Sync",
    "Channel Subscribed",
    "SCOutgoing",
    "SCIncoming",
    "SCEnd",
    "SCCampaignOptOut",
    "wzrk_d",
)
# CleverTap's own API refuses these, as only its SDKs and campaigns raise them (CleverTap, platform considerations).
RESERVED_EVENTS = frozenset(
    {
        *(f"Notification {what}" for what in ("Sent", "Viewed", "Clicked", "Delivered", "Replied")),
        *(f"App {what}" for what in ("Launched", "Uninstalled", "Version Changed")),
        *(f"Identity {what}" for what in ("Set", "Reset", "Error")),
        *("UTM Visited", "Stayed", "Reply Sent", "Experiment Rendered", "Reachable By"),
    }
)
RESERVED = event_refusal(RESERVED_NAME, "It is a restricted system event.")
DISCARDED = event_refusal(DISCARDED_NAME, "The event is discarded. Restore it in the schema to capture it again.")
_KINDS = {
    **dict.fromkeys(SYSTEM_EVENTS, EventName.Kind.SYSTEM),
    **dict.fromkeys(ENGAGEMENT_EVENTS, EventName.Kind.ENGAGEMENT),
}
INSERT = """
INSERT INTO events_eventname (project_id, name, kind, first_seen_at, count)
SELECT %(project)s, n.name, n.kind, n.first_seen_at, 0
  FROM unnest(%(names)s::text[], %(kinds)s::text[], %(first)s::timestamptz[]) AS n (name, kind, first_seen_at)
    ON CONFLICT (project_id, name) DO NOTHING
"""


def kind_of(name: str) -> EventName.Kind:
    """system, engagement or custom, by the name alone."""
    return _KINDS.get(name, EventName.Kind.CUSTOM)


def known_names(project: Project, names: Iterable[str] | None = None) -> set[str]:
    """The names of the project's catalogue; of `names`, when given, those that are in it."""
    found = EventName.objects.filter(project=project)
    if names is not None:
        found = found.filter(name__in=list(names))
    return set(found.values_list("name", flat=True))


def name_ids(project: Project, names: Iterable[str]) -> list[int]:
    """Ids of those names that are in the catalogue, in their order there."""
    return list(ids_by_name(project.pk, list(names)).values())


def ids_by_name(project_id: int, names: Collection[str]) -> dict[str, int]:
    """Name → id for those names that are in the catalogue."""
    found = EventName.objects.filter(project_id=project_id, name__in=names).order_by("pk")
    return dict(found.values_list("name", "pk"))


@dataclass(frozen=True)
class Names:
    """What capture may do with names: those in the catalogue by id, and why others are refused."""

    ids: dict[str, int]
    refused: dict[str, Refusal]


def lookup(project_id: int, names: Collection[str]) -> Names:
    """Those that the catalogue has; new ones are in neither answer."""
    found = EventName.objects.filter(project_id=project_id, name__in=names)
    ids: dict[str, int] = {}
    refused: dict[str, Refusal] = {}
    for name, pk, discarded_at in found.values_list("name", "pk", "discarded_at"):
        if discarded_at is None:
            ids[name] = pk
        else:
            refused[name] = DISCARDED
    return Names(ids, refused)


def add_names(project_id: int, first_seen: Mapping[str, datetime]) -> Names:
    """Put those that are new into the catalogue, as far as the project may have more; all of them as `lookup` does.

    The caller holds the lock of the project's people. System and engagement events are always taken.
    """
    known = lookup(project_id, first_seen)
    new = [name for name in first_seen if name not in known.ids and name not in known.refused]
    custom = [name for name in new if kind_of(name) is EventName.Kind.CUSTOM]
    most = settings.PORTAL_EVENT_TYPES
    room = max(0, most - EventName.objects.filter(project_id=project_id).count()) if custom else 0
    too_many = event_refusal(STRUCTURE, f"The project has {most} event types already, and takes no new ones.")
    refused = dict.fromkeys(custom[room:], too_many)
    _insert(project_id, {name: first_seen[name] for name in new if name not in refused})
    known = lookup(project_id, first_seen)
    return Names(known.ids, known.refused | refused)


def _insert(project_id: int, first_seen: Mapping[str, datetime]) -> None:
    """In sorted order, so that two writers wait for each other in one direction."""
    names = sorted(first_seen)
    values: dict[str, Any] = {
        "project": project_id,
        "names": names,
        "kinds": [kind_of(name).value for name in names],
        "first": [first_seen[name] for name in names],
    }
    with connection.cursor() as cursor:
        cursor.execute(INSERT, values)


@transaction.atomic
def discard(*, name: EventName, by: Actor, now: datetime) -> None:
    """Capture no more events of this name; those that were stay. Harmless when it is discarded already."""
    access.require(by, name.project, Role.ADMIN)
    if EventName.objects.filter(pk=name.pk, discarded_at=None).update(discarded_at=now):
        _audit("event_name.discard", name, by=by, now=now)
    name.refresh_from_db(fields=["discarded_at"])


@transaction.atomic
def restore(*, name: EventName, by: Actor, now: datetime) -> None:
    """Capture events of this name again."""
    access.require(by, name.project, Role.ADMIN)
    if EventName.objects.filter(pk=name.pk, discarded_at__isnull=False).update(discarded_at=None):
        _audit("event_name.restore", name, by=by, now=now)
    name.refresh_from_db(fields=["discarded_at"])


def _audit(action: str, name: EventName, *, by: Actor, now: datetime) -> None:
    audit.record(action=action, by=by, now=now, project_id=name.project_id, target=name, after={"name": name.name})
