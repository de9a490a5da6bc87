"""The tick: one single-flight sweep that creates due runs and wakes workers for free shards.

Beat rings it every second; two beats, or none for a while, are harmless. Its cost is set by what is due.
"""

from collections.abc import Callable
from datetime import datetime
from time import monotonic

import structlog
from django.db import connection, transaction

from events import positions
from exports import actions, alerts, runs, totals
from exports.delivery.lease import longest
from exports.models import Frequency
from exports_portal.common import bells
from exports_portal.common.database import AWAY, single_flight
from notifications import dispatch
from partners import actions as partner_actions

log = structlog.get_logger("exports.tick")

LOCK = 7_210_451  # any number of our own: the advisory lock that makes the tick single-flight
RING_AGAIN_SECONDS = 5  # a bell may be lost
UNHEARD = 200  # bells that may wait in a queue: more would be rung again before anybody hears them, and pile up
OLD_SECONDS = 60.0
WARN_EVERY_SECONDS = 60.0
_warned_at = -WARN_EVERY_SECONDS

# OFFSET 0 keeps the planner from beginning at the exports: the few shards that may be free are found by their index.
FREE_SHARDS = """
UPDATE exports_shard SET rung_at = now(), idle = false
 WHERE id IN (
    SELECT s.id FROM exports_shard s CROSS JOIN LATERAL (
        SELECT e.frequency = 'live' AS live
          FROM exports_run r
          JOIN exports_export e ON e.id = r.export_id
          JOIN partners_integration i ON i.id = r.integration_id
         WHERE r.id = s.run_id AND i.disconnected_at IS NULL AND i.setup_fault = ''
           AND (i.paused_until IS NULL OR i.paused_until <= now())
        OFFSET 0) AS sendable
     WHERE (s.open AND (NOT s.idle OR s.not_before <= now()) OR s.resend_at <= now())
       AND (s.not_before IS NULL OR s.not_before <= now())
       AND (s.lease_until IS NULL OR s.lease_until NOT BETWEEN now() AND now() + make_interval(secs => %(longest)s))
       AND (s.rung_at IS NULL OR s.rung_at NOT BETWEEN now() - make_interval(secs => %(again)s) AND now())
       AND sendable.live = %(live)s
     ORDER BY s.not_before NULLS FIRST, s.id LIMIT %(limit)s
       FOR UPDATE OF s SKIP LOCKED)
RETURNING id
"""
# Idle shards of live runs go on when something that can be read lies behind their cursor, or when their run shall end.
# A look at the end of each log per project, so that a thousand idle exports cost next to nothing.
WAKE = """
WITH resting AS (
    SELECT s.id, s.cursor_tx_id, s.cursor_id, e.project_id, e.type,
           e.frequency <> 'live' OR e.next_run_at <= %(now)s AS ends
      FROM exports_shard s JOIN exports_run r ON r.id = s.run_id JOIN exports_export e ON e.id = r.export_id
     WHERE s.open AND s.idle AND (%(shard)s::bigint IS NULL OR s.id = %(shard)s)
       AND (%(project)s::bigint IS NULL OR e.project_id = %(project)s)),
newest AS (
    SELECT p.project_id, p.type, n.tx_id, n.id FROM (SELECT DISTINCT project_id, type FROM resting) AS p,
    LATERAL ((SELECT tx_id, id FROM events_event
               WHERE p.type = 'events' AND project_id = p.project_id AND tx_id < %(horizon)s
               ORDER BY tx_id DESC, id DESC LIMIT 1)
             UNION ALL
             (SELECT tx_id, id FROM events_profilechange
               WHERE p.type = 'user_profiles' AND project_id = p.project_id AND tx_id < %(horizon)s
               ORDER BY tx_id DESC, id DESC LIMIT 1)) AS n)
UPDATE exports_shard s SET idle = false, not_before = NULL, rung_at = now()
  FROM resting r LEFT JOIN newest n ON n.project_id = r.project_id AND n.type = r.type
 WHERE s.id = r.id AND s.idle AND (r.ends OR (n.tx_id, n.id) > (r.cursor_tx_id, r.cursor_id))
RETURNING s.id
"""
# The worker of a stopped run died with a request out: its outcome stays unknown, and the page says so.
ORPHANS = """
UPDATE exports_shard
   SET unconfirmed = greatest(unconfirmed, in_flight), in_flight = 0,
       unconfirmed_again = greatest(unconfirmed_again, in_flight_again), in_flight_again = 0, fence = fence + 1
 WHERE NOT open AND (in_flight > 0 OR in_flight_again > 0)
   AND lease_until NOT BETWEEN now() AND now() + make_interval(secs => %(longest)s)
"""


def tick(*, now: datetime) -> int:
    """Create due runs and ring for free shards; returns how many bells were rung. A no-op while another one ticks."""
    with single_flight(LOCK) as is_first:
        return _sweep(now=now) if is_first else 0


def queue_of(frequency: str) -> str:
    """Live exports have workers of their own, so that a backfill never starves them."""
    return "live" if frequency == Frequency.LIVE else "bulk"


def wake(*, now: datetime, project_id: int | None = None, shard_id: int | None = None) -> int:
    """Wake the idle shards, of a project or one of them, that have something to do; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(WAKE, {"now": now, "project": project_id, "shard": shard_id, "horizon": positions.horizon()})
        awake = cursor.fetchall()
    for (woken,) in awake:
        bells.ring_shard(woken, queue="live")
    return len(awake)


def watch_horizon(*, old_after: float = OLD_SECONDS) -> None:
    """Log who holds the horizon up: nothing behind it can be read by any export. At most one line a minute."""
    global _warned_at
    writer = positions.oldest_writer()
    if writer is not None and writer.seconds > old_after and monotonic() - _warned_at >= WARN_EVERY_SECONDS:
        _warned_at = monotonic()
        log.warning(
            "horizon.old",
            seconds=round(writer.seconds),
            pid=writer.pid,
            application=writer.application,
            state=writer.state,
        )


def _sweep(*, now: datetime) -> int:
    watch_horizon()
    if positions.is_restored_dump():
        return 0  # /ready says so, and what to do
    steps: tuple[Callable[..., object], ...] = (
        actions.follow_zones,
        actions.follow_clock,
        actions.stop_failing,
        runs.create_due,
        wake,
        _look_at_ended,
        alerts.watch_seldom,
        _ring_for_others,
        _count_orphans,
    )
    for step in steps:
        try:
            step(now=now)
        except AWAY:
            raise
        except Exception:  # whatever it is, it must not keep everybody's runs from being created and taken up
            log.exception("tick.failed", step=step.__name__)
    return sum(_ring_free(queue, room=UNHEARD - unheard) for queue, unheard in bells.unheard().items())


@transaction.atomic
def _look_at_ended(*, now: datetime) -> None:
    """Each run is looked at once when it has ended, or not at all."""
    alerts.runs_ended(totals.add_up(), now=now)


def _ring_for_others(*, now: datetime) -> None:
    """For notifications and probes that are due."""
    for dispatch_id in dispatch.due(now=now):
        bells.ring_dispatch(dispatch_id)
    for integration_id in partner_actions.due_probes(now=now):
        bells.ring_probe(integration_id)


def _count_orphans(*, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ORPHANS, {"longest": longest()})


def _ring_free(queue: str, *, room: int) -> int:
    """Ring for the free shards whose turn it is, as many as there is room for in the queue; returns how many."""
    if room <= 0:
        return 0
    values = {"longest": longest(), "again": RING_AGAIN_SECONDS, "live": queue == "live", "limit": room}
    with connection.cursor() as cursor:
        cursor.execute(FREE_SHARDS, values)
        free = cursor.fetchall()
    for (shard_id,) in free:
        bells.ring_shard(shard_id, queue=queue)
    return len(free)
