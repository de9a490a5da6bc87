"""The catalogue of event names: which there are, of which kind, and their ids in the log."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from events.models import EventName
from projects.models import Project

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
)
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


def names_of(project: Project) -> QuerySet[EventName]:
    """The catalogue with its counts, most frequent first."""
    return EventName.objects.filter(project=project).order_by("-count", "name")


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


def add_names(project_id: int, first_seen: Mapping[str, datetime]) -> None:
    """Put new names into the catalogue, in sorted order, so that two writers wait for each other in one direction."""
    names = sorted(first_seen)
    values: dict[str, Any] = {
        "project": project_id,
        "names": names,
        "kinds": [kind_of(name).value for name in names],
        "first": [first_seen[name] for name in names],
    }
    with connection.cursor() as cursor:
        cursor.execute(INSERT, values)
