"""Short ways to capture records and to read back what was stored."""

from datetime import UTC, datetime
from typing import Any

import orjson

from events import positions, store
from events.ingest import Result, ingest
from projects.models import Project

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def event(identity: Any = "asha", name: Any = "Product Viewed", **record: Any) -> dict[str, Any]:
    """An event record as clients send it; identity None leaves it out, data= is its evtData."""
    data = record.pop("data", {})
    who = {} if identity is None else {"identity": identity}
    return {"type": "event", "evtName": name, "evtData": data, **who, **record}


def profile(identity: Any = "asha", **data: Any) -> dict[str, Any]:
    return {"type": "profile", "identity": identity, "profileData": data}


def capture(project: Project, *records: Any, now: datetime = NOW, **options: Any) -> Result:
    return ingest(project=project, records=records, now=now, **options)


def stored(project: Project) -> list[store.EventRow]:
    """All events of a project in the order of the log."""
    return store.read_by_position(
        filter=store.Filter(project.pk), from_tx=0, until_tx=positions.horizon(), after=(0, 0), limit=100_000
    ).rows


def properties(project: Project) -> list[Any]:
    return [orjson.loads(row.properties) for row in stored(project)]
