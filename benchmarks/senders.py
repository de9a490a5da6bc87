"""The senders that `benchmarks.delivery` and `benchmarks.profiles` compare, each run in a process of its own.

`python -m benchmarks.senders NAME URL EVENTS` prints {"events", "wall", "cpu", "memory_mb"}; cpu is of the sending
process alone, memory its peak.
"""

import itertools
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any


def portal(url: str, events: int) -> None:
    today = datetime.now(UTC).date()
    _deliver(events, frequency="one_time", date_from=today - timedelta(days=1), date_to=today)


def portal_people(url: str, people: int) -> None:
    _deliver(people, type="user_profiles", frequency="one_time")


def portal_updates(url: str, updates: int) -> None:
    start = datetime.now(UTC).date() - timedelta(days=2)
    _deliver(updates, type="user_profiles", frequency="recurring", every_hours=24, start_date=start)


def _deliver(records: int, **what: Any) -> None:
    """One worker process, one shard: claim, read, check, encode, send, settle, checkpoint, until DONE."""
    from exports import runs
    from exports.actions import create_export
    from exports.delivery import worker
    from exports.models import Shard
    from exports.spec import ExportSpec
    from exports_portal.common.audit import PORTAL
    from partners.actions import create_integration
    from projects.models import Project

    now, project = datetime.now(UTC), Project.objects.get()
    integration = create_integration(
        project=project, partner="amplitude", nickname=str(now), values={"api_key": "0" * 32}, by=PORTAL, now=now
    )
    export = create_export(project=project, spec=ExportSpec(integration.pk, **what), by=PORTAL, now=now)
    runs.create_due(now=now)
    shard = Shard.objects.get(run__export=export)
    while shard.open:
        worker.work(shard.pk)
        shard.refresh_from_db()
    assert shard.delivered == records, (shard.delivered, records)


def bare_loop(url: str, events: int) -> None:
    """Keyset read, orjson with Fragment, requests.post; no checks, no checkpoints."""
    import orjson
    import requests
    from django.db import connection

    session, sent = requests.Session(), 0
    session.trust_env = False
    after = (datetime(2000, 1, 1, tzinfo=UTC), 0)
    connection.ensure_connection()
    cursor = connection.connection.cursor()
    while True:
        cursor.execute(
            "SELECT e.id, e.uid::text, n.name, e.occurred_at, e.identity, e.clevertap_id, e.properties::text"
            " FROM events_event e JOIN events_eventname n ON n.id = e.name_id"
            " WHERE e.project_id = 1 AND (e.occurred_at, e.id) > (%s, %s) ORDER BY e.occurred_at, e.id LIMIT 2000",
            after,
        )
        rows = cursor.fetchall()
        if not rows:
            break
        batch = [
            {
                "event_type": name,
                "time": int(at.timestamp() * 1000),
                "user_id": identity,
                "device_id": device,
                "insert_id": uid,
                "event_id": key,
                "event_properties": orjson.Fragment(properties),
            }
            for key, uid, name, at, identity, device, properties in rows
        ]
        session.post(f"{url}/batch", data=orjson.dumps({"api_key": "0" * 32, "events": batch})).raise_for_status()
        sent += len(rows)
        after = (rows[-1][3], rows[-1][0])
    assert sent == events, (sent, events)


def people_loop(url: str, people: int) -> None:
    """Keyset read of people, orjson with Fragment, requests.post; no checks, no checkpoints."""
    import orjson
    import requests
    from django.db import connection

    session, sent, after = requests.Session(), 0, 0
    session.trust_env = False
    connection.ensure_connection()
    cursor = connection.connection.cursor()
    while True:
        cursor.execute(
            "SELECT id, identity, clevertap_id, changed_at,"
            " jsonb_build_object('$set', properties || jsonb_build_object('Name', name, 'Email', email))::text"
            " FROM events_person WHERE project_id = 1 AND id > %s ORDER BY id LIMIT 2000",
            [after],
        )
        rows = cursor.fetchall()
        if not rows:
            break
        batch = [
            {
                "event_type": "$identify",
                "time": int(at.timestamp() * 1000),
                "user_id": identity,
                "device_id": device,
                "insert_id": str(key),
                "user_properties": orjson.Fragment(properties),
            }
            for key, identity, device, at, properties in rows
        ]
        session.post(f"{url}/batch", data=orjson.dumps({"api_key": "0" * 32, "events": batch})).raise_for_status()
        sent += len(rows)
        after = rows[-1][0]
    assert sent == people, (sent, people)


def official_sdk(url: str, events: int) -> None:
    """The official Python SDK with its defaults, fed from memory with events like ours."""
    from amplitude import Amplitude, BaseEvent

    client = Amplitude("0" * 32)
    client.configuration.server_url = f"{url}/batch"
    client.configuration.logger = logging.getLogger("quiet")
    delivered = itertools.count()
    client.configuration.callback = lambda *_: next(delivered)
    now = int(time.time() * 1000)
    for number in range(events):
        client.track(
            BaseEvent(
                "Product Viewed",
                user_id=f"user-{number % 5000:05}",
                device_id=f"__device{number % 5000:05}",
                time=now,
                insert_id=f"{number:032}",
                event_properties={"Category": "Books", "Price": 499, "Product": f"Item {number % 1000}"},
            )
        )
    client.shutdown()
    sent = next(delivered)
    assert sent == events, (sent, events)


def main() -> None:
    name, url, events = sys.argv[1], sys.argv[2], int(sys.argv[3])
    os.environ["AMPLITUDE_EU_URL"] = os.environ["AMPLITUDE_STANDARD_URL"] = url
    os.environ["PORTAL_MAX_SHARDS"] = "1"
    import django

    django.setup()
    from django.db import connection

    logging.disable(logging.INFO)
    senders: dict[str, Callable[[str, int], None]] = {
        "portal": portal,
        "portal_people": portal_people,
        "portal_updates": portal_updates,
        "bare_loop": bare_loop,
        "people_loop": people_loop,
        "official_sdk": official_sdk,
    }
    import_module("exports.delivery.worker")  # neither imports nor connecting are delivery
    import_module("amplitude")
    connection.ensure_connection()
    wall, cpu = time.monotonic(), time.process_time()
    senders[name](url, events)
    result = {
        "events": events,
        "wall": time.monotonic() - wall,
        "cpu": time.process_time() - cpu,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(f"\n{json.dumps(result)}\n")


if __name__ == "__main__":
    main()
