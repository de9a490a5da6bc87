"""The senders that `benchmarks.delivery` and `benchmarks.profiles` compare, each run in a process of its own.

`python -m benchmarks.senders NAME URL EVENTS` prints {"events", "wall", "cpu", "memory_mb"}; cpu is of the sending
process and its children alone, memory the peak of the largest.
"""

import itertools
import json
import logging
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any


def portal(url: str, events: int) -> None:
    _deliver(events, project=int(os.environ.get("BENCHMARK_PROJECT", "1")), **_last_days())


def portal_with_bad_events(url: str, events: int) -> None:
    """The log of project 2: one event of a hundred is refused, half of these by the portal, half by the sink."""
    _deliver(events, project=2, bad=events // 100, **_last_days())


def portal_two_workers(url: str, events: int) -> None:
    """A run of two shards, with a process for each."""
    from django.db import connection

    shards = _shards(**_last_days())
    assert len(shards) == 2, shards
    connection.close()
    workers = [multiprocessing.get_context("fork").Process(target=_work, args=(shard,)) for shard in shards]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    _check(shards, events)


def _last_days() -> dict[str, Any]:
    today = datetime.now(UTC).date()
    return {"frequency": "one_time", "date_from": today - timedelta(days=1), "date_to": today}


def portal_people(url: str, people: int) -> None:
    _deliver(people, type="user_profiles", frequency="one_time")


def portal_updates(url: str, updates: int) -> None:
    start = datetime.now(UTC).date() - timedelta(days=2)
    _deliver(updates, type="user_profiles", frequency="recurring", every_hours=24, start_date=start)


def _deliver(records: int, *, project: int = 1, bad: int = 0, **what: Any) -> None:
    """One worker process, one shard."""
    shards = _shards(project=project, **what)
    assert len(shards) == 1, shards
    _work(shards[0])
    _check(shards, records, bad)


def _shards(*, project: int = 1, **what: Any) -> list[int]:
    """The shards of a new export."""
    from exports import runs
    from exports.actions import create_export
    from exports.models import Shard
    from exports.spec import ExportSpec
    from exports_portal.common.audit import PORTAL
    from partners.actions import create_integration
    from projects.models import Project

    now, owner = datetime.now(UTC), Project.objects.get(pk=project)
    integration = create_integration(
        project=owner, partner="amplitude", nickname=str(now), values={"api_key": "0" * 32}, by=PORTAL, now=now
    )
    export = create_export(project=owner, spec=ExportSpec(integration.pk, **what), by=PORTAL, now=now)
    runs.create_due(now=now)
    return list(Shard.objects.filter(run__export=export).values_list("pk", flat=True))


def _work(shard: int) -> None:
    """Claim, read, check, encode, send, settle, checkpoint, until all is read and settled."""
    from exports.delivery import worker
    from exports.models import Shard

    while Shard.objects.get(pk=shard).open:
        worker.work(shard)


def _check(shards: list[int], records: int, bad: int = 0) -> None:
    from exports.models import Shard

    rows = Shard.objects.filter(pk__in=shards).values_list("read", "delivered", "rejected")
    sums = tuple(map(sum, zip(*rows, strict=True)))
    assert sums == (records, records - bad, bad), (sums, records, bad)


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
    os.environ["PORTAL_MAX_SHARDS"] = "2" if name == "portal_two_workers" else "1"
    os.environ["PORTAL_ROWS_PER_SHARD"] = "1000"
    import django

    django.setup()
    from django.db import connection

    if "BENCHMARK_LOG" not in os.environ:
        logging.disable(logging.INFO)
    senders: dict[str, Callable[[str, int], None]] = {
        "portal": portal,
        "portal_two_workers": portal_two_workers,
        "portal_with_bad_events": portal_with_bad_events,
        "portal_people": portal_people,
        "portal_updates": portal_updates,
        "bare_loop": bare_loop,
        "people_loop": people_loop,
        "official_sdk": official_sdk,
    }
    import_module("exports.delivery.worker")  # neither imports nor connecting are delivery
    import_module("amplitude")
    connection.ensure_connection()
    wall, cpu = time.monotonic(), _cpu()
    senders[name](url, events)
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    result = {
        "events": events,
        "wall": time.monotonic() - wall,
        "cpu": _cpu() - cpu,
        "memory_mb": max(peaks) / 1024,
    }
    sys.stdout.write(f"\n{json.dumps(result)}\n")


def _cpu() -> float:
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
