"""Leases on shards, by the database's clock and a fence that every claim raises (rules 4, 5)."""

import os
import socket
import threading
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from django.conf import settings
from django.db import DatabaseError, OperationalError, close_old_connections, connection, transaction
from psycopg.errors import LockNotAvailable

SLACK_SECONDS = 1.0  # a lease may be renewed while a claim is on its way to the database

# Somebody else holds the row for a moment only, unless a process was stopped in a transaction. Giving up at once would
# waste the bell of a shard that another bell just looks at, and the next one comes in seconds.
PATIENCE = "SET LOCAL lock_timeout = '500ms'"
CLAIM = """
WITH old AS (
    SELECT id, lease_until IS NOT NULL AS expired FROM exports_shard WHERE id = %(shard)s FOR UPDATE)
UPDATE exports_shard AS s
   SET lease_until = now() + make_interval(secs => %(lease)s), lease_owner = %(owner)s, fence = s.fence + 1,
       takeovers = s.takeovers + old.expired::int,
       unconfirmed = greatest(s.unconfirmed, s.in_flight), in_flight = 0,
       unconfirmed_again = greatest(s.unconfirmed_again, s.in_flight_again), in_flight_again = 0
  FROM old, exports_run r
  JOIN partners_integration i ON i.id = r.integration_id
 WHERE s.id = old.id AND r.id = s.run_id AND (s.open AND NOT s.idle OR s.resend_at <= now())
   AND (s.lease_until IS NULL OR s.lease_until NOT BETWEEN now() AND now() + make_interval(secs => %(longest)s))
   AND (s.not_before IS NULL OR s.not_before <= now())
   AND i.disconnected_at IS NULL AND i.setup_fault = '' AND (i.paused_until IS NULL OR i.paused_until <= now())
RETURNING s.fence, old.expired, s.unconfirmed + s.unconfirmed_again
"""
RENEW = """
UPDATE exports_shard SET lease_until = now() + make_interval(secs => %s)
 WHERE id = %s AND fence = %s AND lease_until > now()
"""
RELEASE = """
UPDATE exports_shard SET lease_until = NULL, rung_at = NULL, idle = %(idle)s,
       unconfirmed = greatest(unconfirmed, in_flight), in_flight = 0,
       unconfirmed_again = greatest(unconfirmed_again, in_flight_again), in_flight_again = 0,
       not_before = CASE WHEN %(wait)s::float8 IS NULL THEN NULL ELSE now() + make_interval(secs => %(wait)s) END
 WHERE id = %(shard)s AND fence = %(fence)s
"""
# Of a shard `s`: whether its integration takes requests now.
MAY_SEND = """
SELECT i.setup_fault = '' AND (i.paused_until IS NULL OR i.paused_until <= now())
  FROM exports_run r JOIN partners_integration i ON i.id = r.integration_id WHERE r.id = s.run_id
"""
GUARD = f"""
SELECT s.fence = %s AND s.lease_until > now(), may AND s.open, may AND s.resend_at IS NOT NULL
  FROM exports_shard s, LATERAL ({MAY_SEND}) AS integration (may) WHERE s.id = %s
"""  # noqa: S608 made of constants


class Guard(Enum):
    """Whether a request may start now."""

    GO = "go"
    HALT = "halt"  # stopped, or the integration must be left alone: nothing more is sent, what is out is still settled
    LOST = "lost"  # another worker may have the shard: write nothing


@dataclass(frozen=True)
class Lease:
    shard_id: int
    fence: int
    taken_over: bool
    unconfirmed: int

    def guard(self) -> Guard:
        """Ask before every request of a run. Look-ups by primary key."""
        return self._guard()[0]

    def guard_resend(self) -> Guard:
        """The same before rejected records are sent again, which they may be when their run is closed."""
        return self._guard()[1]

    def _guard(self) -> tuple[Guard, Guard]:
        with connection.cursor() as cursor:
            cursor.execute(GUARD, [self.fence, self.shard_id])
            row = cursor.fetchone()
        if row is None or not row[0]:
            return Guard.LOST, Guard.LOST
        return Guard.GO if row[1] else Guard.HALT, Guard.GO if row[2] else Guard.HALT

    def renew(self) -> bool:
        """Extend it; False once it has expired or been taken: an expired lease is never renewed."""
        with connection.cursor() as cursor:
            cursor.execute(RENEW, [settings.PORTAL_LEASE_SECONDS, self.shard_id, self.fence])
            return bool(cursor.rowcount == 1)

    def release(self, *, wait: float | None = None, idle: bool = False) -> None:
        """Hand the shard back; nobody takes it up again for `wait` seconds, or before a capture when it is idle."""
        with connection.cursor() as cursor:
            cursor.execute(RELEASE, {"wait": wait, "idle": idle, "shard": self.shard_id, "fence": self.fence})


def longest() -> float:
    """No lease lasts more seconds from now: one that seems to was given before the database's clock stepped back."""
    return float(settings.PORTAL_LEASE_SECONDS) + SLACK_SECONDS


def claim(shard_id: int) -> Lease | None:
    """Take the shard, or None when it is closed, idle, leased, waiting, or its integration may not send."""
    owner, lease = f"{socket.gethostname()}:{os.getpid()}", settings.PORTAL_LEASE_SECONDS
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(PATIENCE)
            cursor.execute(CLAIM, {"lease": lease, "longest": longest(), "owner": owner, "shard": shard_id})
            row = cursor.fetchone()
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return None
        raise
    return None if row is None else Lease(shard_id, *row)


class Heartbeat:
    """Renews a lease from a thread of its own while a request or a long page is under way."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{lease.shard_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._done.wait(settings.PORTAL_LEASE_SECONDS / 3):
                close_old_connections()
                try:
                    if not self._lease.renew():
                        return
                except DatabaseError:
                    continue  # the database may come back before the lease runs out; the guard decides
        finally:
            connection.close()
