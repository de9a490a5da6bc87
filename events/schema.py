"""What the Schema page shows: event names with their state, their properties, and what comes in."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.core.paginator import Page

from events import glance
from events.models import EventName, PropertySeen
from projects.models import Project


@dataclass
class Property:
    """A property of an event name. types: label and count, most frequent first."""

    key: str
    last_seen_at: datetime
    count: int = 0
    types: list[tuple[str, int]] = field(default_factory=list)


def names(project: Project, *, today: date, kind: str = "", search: str = "", number: str | None = None) -> "Page[Any]":
    """A page of event names, most frequent first. kind: one of EventName.Kind, all unless it is known."""
    known = kind if kind in EventName.Kind.values else ""
    return glance.catalogue(project, today=today, search=search, number=number, kind=known)


def properties(name: EventName) -> list[Property]:
    """Those that its events had, most frequent first."""
    found: dict[str, Property] = {}
    seen: Iterable[PropertySeen] = name.properties_seen.order_by("-count", "key", "type")
    for one in seen:
        row = found.setdefault(one.key, Property(one.key, one.last_seen_at))
        row.types.append((one.get_type_display(), one.count))
        row.count += one.count
        row.last_seen_at = max(row.last_seen_at, one.last_seen_at)
    return sorted(found.values(), key=lambda row: (-row.count, row.key))
