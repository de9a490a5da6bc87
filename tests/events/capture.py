"""Short ways to capture records and to read back what was stored."""

import json
import threading
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection
from django.test import Client

from events import positions, store
from events.ingest import Result, ingest
from projects.models import Project

URL = "/1/upload"
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


def send(headers: dict[str, str], body: Any, *, url: str = URL, **more: str) -> Any:
    """POST `body` (bytes as they are, anything else as JSON), past CSRF checks that count."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = Client(enforce_csrf_checks=True)
    return client.post(url, data, content_type="application/json", headers={**headers, **more})


def at_once(*calls: Any) -> list[BaseException]:
    """Run each call in a thread of its own, all started together; returns what they raised."""
    barrier, errors = threading.Barrier(len(calls)), []

    def run(call: Any) -> None:
        barrier.wait()
        try:
            call()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
