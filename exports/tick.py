"""The tick: one single-flight sweep that creates due runs and wakes workers for free shards (DESIGN 6).

Beat rings it every second; two beats, or none for a while, are harmless. Its cost is set by what is due.
"""

from datetime import datetime

import structlog
from django.db import connection

from events import positions
from exports import runs
from exports_portal.common import bells

log = structlog.get_logger("exports.tick")

LOCK = 7_210_451  # any number of our own: the advisory lock that makes the tick single-flight
RING_AGAIN_SECONDS = 5  # a bell may be lost; one that is only slow must not pile up
RING_AT_ONCE = 200

FREE_SHARDS = """
UPDATE exports_shard SET rung_at = now()
 WHERE id IN (
    SELECT s.id FROM exports_shard s
      JOIN exports_run r ON r.id = s.run_id
      JOIN exports_export e ON e.id = r.export_id
      JOIN partners_integration i ON i.id = e.integration_id
     WHERE s.open AND (s.not_before IS NULL OR s.not_before <= now())
       AND (s.lease_until IS NULL OR s.lease_until < now())
       AND (s.rung_at IS NULL OR s.rung_at < now() - make_interval(secs => %s))
       AND i.setup_fault = '' AND (i.paused_until IS NULL OR i.paused_until <= now())
     ORDER BY s.not_before NULLS FIRST, s.id LIMIT %s
       FOR UPDATE OF s SKIP LOCKED)
RETURNING id, (SELECT e.frequency FROM exports_run r JOIN exports_export e ON e.id = r.export_id WHERE r.id = run_id)
"""
# The worker of a stopped run died with a request out: its outcome stays unknown, and the page says so.
ORPHANS = """
UPDATE exports_shard SET unconfirmed = greatest(unconfirmed, in_flight), in_flight = 0, fence = fence + 1
 WHERE NOT open AND in_flight > 0 AND lease_until < now()
"""


def tick(*, now: datetime) -> int:
    """Create due runs and ring for free shards; returns how many bells were rung. A no-op while another one ticks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        try:
            return _sweep(now=now)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _sweep(*, now: datetime) -> int:
    try:
        runs.create_due(now=now)
    except positions.RestoredDump:
        return 0  # /ready says so, and what to do; nothing is sent either
    with connection.cursor() as cursor:
        cursor.execute(ORPHANS)
        cursor.execute(FREE_SHARDS, [RING_AGAIN_SECONDS, RING_AT_ONCE])
        free = cursor.fetchall()
    for shard_id, frequency in free:
        bells.ring_shard(shard_id, queue="live" if frequency == "live" else "bulk")
    return len(free)
