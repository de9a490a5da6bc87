"""Thousands of recurring exports that are due at once, on a whole portal with its default workers.

`python -m benchmarks.midnight [--exports N]`. First what a tick costs beside exports that are not due, against none;
then all become due with nothing captured: seconds until every window exists, and until every one is closed.
"""

import argparse
import logging
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from benchmarks import stack
from tests.portal import RunningPortal

PROJECTS = 100
EVENTS = 20_000
RUNS_BEHIND = 5  # of each export
TICKS = 50
LONGEST = 400.0
FILL = """
INSERT INTO events_event
    (project_id, name_id, person_id, uid, tx_id, received_at, occurred_at, identity, clevertap_id, lane,
     properties, flags)
SELECT project_id, id, 1, gen_random_uuid(), pg_current_xact_id()::text::bigint, now(), now(), 'user', 'device', 1,
       '{}'::jsonb, 0
  FROM events_eventname, generate_series(1, %s)
"""


def make_integrations(now: datetime) -> list[Any]:
    """One in each of the projects, which have some events."""
    from django.db import connection

    from events.models import EventName
    from exports_portal.common.audit import PORTAL
    from partners.actions import create_integration
    from projects.models import Project

    integrations = []
    for number in range(PROJECTS):
        project = Project.objects.create(account_id=f"MID-{number}", name=f"Shop {number}", timezone="Asia/Kolkata")
        EventName.objects.create(project=project, name="Charged", kind="system", first_seen_at=now)
        values = {"api_key": "0" * 32}
        integrations.append(
            create_integration(project=project, partner="amplitude", nickname="A", values=values, by=PORTAL, now=now)
        )
    with connection.cursor() as cursor:
        cursor.execute(FILL, [EVENTS // PROJECTS])
    return integrations


def make_exports(count: int) -> None:
    """Recurring exports as they stand in the afternoon: some runs DONE behind them, the next boundary ahead."""
    from events import positions
    from exports.models import Axis, Export, Run, Shard

    now = datetime.now(UTC)
    common: dict[str, Any] = {"created_at": now, "updated_at": now, "exported_on": now, "captured_from": now}
    cycle = {"frequency": "recurring", "every_hours": 24, "start_date": now.date() - timedelta(days=1)}
    exports = Export.objects.bulk_create(
        Export(
            project=integration.project,
            integration=integration,
            next_run_at=now + timedelta(days=1),
            next_tx_id=positions.horizon(),
            **cycle,
            **common,
        )
        for integration in make_integrations(now)
        for _ in range(count // PROJECTS)
    )
    done: dict[str, Any] = {"status": "DONE", "reading": False, "axis": Axis.POSITION, "settings": {}}
    runs = Run.objects.bulk_create(
        Run(
            export=export,
            integration=export.integration,
            sequence=1 + back,
            window_start=now,
            window_end=now,
            until_tx_id=0,
            created_at=now,
            **done,
        )
        for export in exports
        for back in range(RUNS_BEHIND)
    )
    # They ended in the days before: the tick of then has added them up.
    Shard.objects.bulk_create(Shard(run=run, index=0, of=1, open=False, reading=False, counted=True) for run in runs)


def tick_ms() -> float:
    """The median of some ticks, in milliseconds."""
    from exports import tick

    taken = []
    for _ in range(TICKS):
        began = time.perf_counter()
        tick.tick(now=datetime.now(UTC))
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def measure_ticks(portal: RunningPortal, count: int) -> None:
    """While beat sleeps, so that nobody else ticks."""
    beat = portal.child("celery", "beat")
    assert beat is not None
    beat.suspend()
    try:
        without = tick_ms()
        make_exports(count)
        with_them = tick_ms()
    finally:
        beat.resume()
    print(f"a tick takes {without:.1f} ms without exports, {with_them:.1f} ms beside {count:,} that are not due")


def measure_midnight(count: int) -> None:
    from exports.models import Export, Run

    Export.objects.update(next_run_at=datetime.now(UTC))
    began = time.monotonic()
    created = closed = 0.0
    while not closed and time.monotonic() - began < LONGEST:
        time.sleep(0.25)
        created = created or (
            time.monotonic() - began if Run.objects.exclude(sequence__lte=RUNS_BEHIND).count() == count else 0.0
        )
        closed = time.monotonic() - began if created and not Run.objects.active().exists() else 0.0
    assert closed, f"{Run.objects.active().count():,} windows are still open after {LONGEST:.0f} s"
    show(f"{count:,} windows created", count, created, wanted=30)
    show("all of them closed", count, closed, wanted=300)


def show(what: str, count: int, seconds: float, *, wanted: float) -> None:
    rate = count / seconds
    print(
        f"{what:22} in {seconds:6.1f} s   {rate:6.0f} a second: 10,000 in {10_000 / rate:4.0f} s   (under {wanted:.0f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exports", type=int, default=1_000)
    options = parser.parse_args()
    with stack.portal() as portal:
        import django

        django.setup()
        logging.disable(logging.INFO)
        measure_ticks(portal, options.exports)
        before = stack.cpu_of(portal)
        measure_midnight(options.exports)
        print(f"the portal took {stack.cpu_of(portal) - before:.0f} CPU s on {psutil.cpu_count()} cores")


if __name__ == "__main__":
    main()
