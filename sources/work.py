"""Working for a source: a lease, pages one after another for some seconds, then its turn is over."""

import random
from datetime import datetime
from time import monotonic

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import F, QuerySet

from exports_portal.common import bells
from exports_portal.common.database import AWAY
from exports_portal.common.encrypted import SecretUnreadable
from exports_portal.common.slots import NoSlot, slot
from sources.clevertap import (
    REGIONS,
    THROTTLED_SECONDS,
    Account,
    BadAccount,
    ClevertapError,
    Client,
    DeadCursor,
    NotOffered,
    Page,
    Wait,
)
from sources.models import Pull, Source
from sources.planning import plan_due
from sources.settle import Lost, settle

SLICE_SECONDS = 20.0
LEASE_SECONDS = 120  # longer than a request may take, and renewed before each
AT_ONCE = 3  # requests to one account (CleverTap, 2.1)
DEATHS = 5  # a pull whose cursor died so often has to wait, and people are told
RING_AGAIN_SECONDS = 10
LONGEST_WAIT = 900.0

CLAIM = """
UPDATE sources_source SET lease_until = now() + make_interval(secs => %(lease)s), fence = fence + 1
 WHERE id = %(source)s AND stopped_at IS NULL AND fault = '' AND (not_before IS NULL OR not_before <= now())
   AND (lease_until IS NULL OR lease_until NOT BETWEEN now() AND now() + make_interval(secs => %(lease)s))
RETURNING fence
"""
RENEW = """
UPDATE sources_source SET lease_until = now() + make_interval(secs => %s)
 WHERE id = %s AND fence = %s AND lease_until > now() AND stopped_at IS NULL
"""
RELEASE = """
UPDATE sources_source SET lease_until = NULL, rung_at = NULL, not_before = now() + make_interval(secs => %s)
 WHERE id = %s AND fence = %s
"""
DUE = """
UPDATE sources_source s SET rung_at = now()
 WHERE s.stopped_at IS NULL AND s.fault = '' AND (s.not_before IS NULL OR s.not_before <= now())
   AND (s.lease_until IS NULL OR s.lease_until NOT BETWEEN now() AND now() + make_interval(secs => %(lease)s))
   AND (s.rung_at IS NULL OR s.rung_at NOT BETWEEN now() - make_interval(secs => %(again)s) AND now())
   AND EXISTS (SELECT 1 FROM sources_pull p WHERE p.source_id = s.id AND p.state = 'waiting')
RETURNING s.id
"""

log = structlog.get_logger("sources")


def ring_due(*, now: datetime) -> int:
    """Plan the days that are over, and ring for the sources that have something to read; returns how many."""
    plan_due(now=now)
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"lease": LEASE_SECONDS, "again": RING_AGAIN_SECONDS})
        due = [source_id for (source_id,) in cursor.fetchall()]
    for source_id in due:
        bells.ring_source(source_id)
    return len(due)


def work(source_id: int, *, now: datetime, seconds: float = SLICE_SECONDS) -> None:
    """Read for `seconds`, one request at least, if nobody else does; harmless when it is rung twice."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"source": source_id, "lease": LEASE_SECONDS})
        claimed = cursor.fetchone()
    if claimed is None:
        return
    source = Source.objects.select_related("project").get(pk=source_id)
    _Turn(source, claimed[0], now, monotonic() + seconds).take()


def base_url(region: str) -> str:
    """Of a region of CleverTap; one address for all when CLEVERTAP_URL is set."""
    return settings.CLEVERTAP_URL or f"https://{REGIONS[region].host}"


class _Turn:
    """What one worker does for a source under one lease."""

    def __init__(self, source: Source, fence: int, now: datetime, deadline: float) -> None:
        self.source, self.fence, self.now, self.deadline = source, fence, now, deadline

    def take(self) -> None:
        wait = 0.0
        try:
            wait = self._read()
        except Lost:
            return
        finally:
            with connection.cursor() as cursor:
                cursor.execute(RELEASE, [wait, self.source.pk, self.fence])
        if not wait and self._next() is not None:
            bells.ring_source(self.source.pk)

    def _read(self) -> float:
        """Returns the seconds to wait before the next turn."""
        account = self._account()
        if account is None:
            return 0.0
        with Client(account) as client:
            while (pull := self._next()) is not None:
                try:
                    with slot(f"clevertap:{account.account_id}", AT_ONCE):
                        self._step(client, pull)
                except NoSlot:
                    return THROTTLED_SECONDS
                except Wait as error:
                    return self._wait(error)
                except BadAccount as error:
                    self._fault(str(error))
                    return 0.0
                except (Lost, *AWAY):
                    raise
                except Exception as error:  # or it would ask CleverTap for the same again and again, and tell nobody
                    log.exception("source.failed", source=self.source.pk, name=pull.name, day=str(pull.day))
                    return self._wait(
                        Wait(f"Reading {pull.name} on {pull.day} failed ({type(error).__name__}). The log says more.")
                    )
                if monotonic() >= self.deadline:
                    break
        return 0.0

    def _account(self) -> Account | None:
        try:
            passcode = Source.objects.values_list("passcode", flat=True).get(pk=self.source.pk)
        except SecretUnreadable as error:
            self._fault(str(error))
            return None
        return Account(self.source.account_id, passcode, base_url(self.source.region))

    def _next(self) -> Pull | None:
        """A walk that was begun goes first, as cursors die; then the oldest day."""
        waiting = Pull.objects.filter(source=self.source, state=Pull.State.WAITING).order_by("day", "name")
        return waiting.exclude(cursor="").first() or waiting.first()

    def _step(self, client: Client, pull: Pull) -> None:
        """One request, and what follows from it."""
        with connection.cursor() as cursor:
            cursor.execute(RENEW, [LEASE_SECONDS, self.source.pk, self.fence])
            if cursor.rowcount != 1:
                raise Lost
        try:
            if pull.cursor:
                self._settle(pull, client.page(pull.cursor))
            else:
                self._begin(pull, client.begin(pull.name, pull.day))
        except DeadCursor as error:
            self._again(pull, error)
        except NotOffered as error:
            self._refuse(pull.name, error)

    def _begin(self, pull: Pull, cursor: str) -> None:
        self._own_pulls().filter(pk=pull.pk).update(
            cursor=cursor, walk=F("walk") + 1, read=0, known=0, refused=0, error=""
        )
        if not cursor:
            self._settle(pull, Page([], ""))

    def _settle(self, pull: Pull, page: Page) -> None:
        settle(source=self.source, pull=pull, page=page, fence=self.fence, now=self.now)
        self.source.failures = 0
        log.info("source.page", source=self.source.pk, name=pull.name, day=str(pull.day), records=len(page.records))

    def _again(self, pull: Pull, error: ClevertapError) -> None:
        """The whole day anew: what was captured of it is known by its fingerprint."""
        deaths = pull.deaths + 1
        self._own_pulls().filter(pk=pull.pk).update(cursor="", deaths=deaths, error=str(error))
        log.warning("source.walk_again", source=self.source.pk, name=pull.name, day=str(pull.day), why=str(error))
        if deaths >= DEATHS:
            why = f"CleverTap ended the reading of {pull.name} on {pull.day} {deaths} times. {error}"
            raise Wait(why, _backoff(deaths - DEATHS))

    def _refuse(self, name: str, error: ClevertapError) -> None:
        """Not on one day more than on another: no request for all the others."""
        of_name = self._own_pulls().filter(name=name, state=Pull.State.WAITING)
        of_name.update(state=Pull.State.REFUSED, cursor="", error=str(error), finished_at=self.now)

    def _own_pulls(self) -> QuerySet[Pull]:
        return Pull.objects.filter(source=self.source, source__fence=self.fence)

    def _wait(self, error: Wait) -> float:
        """Throttling is no failure; after others the wait doubles, with jitter."""
        failures = self.source.failures + (error.seconds is None)
        Source.objects.filter(pk=self.source.pk, fence=self.fence).update(failures=failures, last_error=str(error))
        log.warning("source.wait", source=self.source.pk, why=str(error), failures=failures)
        if error.seconds is not None:
            return error.seconds
        return _backoff(failures)

    def _fault(self, why: str) -> None:
        if Source.objects.filter(pk=self.source.pk, fence=self.fence).update(fault=why, last_error=""):
            log.error("source.fault", source=self.source.pk, why=why)


def _backoff(failures: int) -> float:
    """Seconds, doubled with each failure, with jitter."""
    return min(LONGEST_WAIT, 5.0 * 2 ** min(failures, 10)) * random.uniform(0.5, 1)  # noqa: S311 jitter
