"""What the Schema page shows: event names with their state, their properties, and what comes in."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from django.core.paginator import Page

from events import glance, refused_uploads, store
from events.models import EventName, PropertySeen, RefusedUpload
from projects.models import Project

LAST_RECORDS = 20
LAST_REFUSED = 50


@dataclass
class Property:
    """A property of an event name. types: what was seen of each type of value, most frequent first."""

    key: str
    last_seen_at: datetime
    count: int = 0
    types: list[PropertySeen] = field(default_factory=list)


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
        row.types.append(one)
        row.count += one.count
        row.last_seen_at = max(row.last_seen_at, one.last_seen_at)
    return sorted(found.values(), key=lambda row: (-row.count, row.key))


class Stream(NamedTuple):
    """What came in last, newest first."""

    received: list[store.EventRow]
    refused: list[RefusedUpload]


def stream(project: Project) -> Stream:
    """The last records received and the last ones refused."""
    return Stream(store.latest(project.pk, LAST_RECORDS), refused_uploads.latest(project, LAST_REFUSED))
