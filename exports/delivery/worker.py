"""One slice of one shard: claim, drain what was held, then read, send, settle, until time is up or all is read."""

import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, partial
from itertools import chain
from operator import attrgetter
from time import monotonic

import structlog
from django.db import connection
from django.db.models import Value
from django.db.models.functions import Coalesce
from structlog.contextvars import bound_contextvars

from events import positions
from exports import lifecycle, runs, tick
from exports.delivery import control, drain, ledger, resend
from exports.delivery.ahead import ahead
from exports.delivery.batches import Batch, BatchReader
from exports.delivery.exchange import Exchange, Result, ids_of
from exports.delivery.lease import Guard, Heartbeat, Lease, claim
from exports.delivery.lines import about, set_aside
from exports.models import Export, Run, Shard, Status
from exports_portal.common import bells
from exports_portal.common.database import AWAY, reason
from exports_portal.common.encrypted import SecretUnreadable
from exports_portal.common.interpreter import collect_garbage_seldom
from partners import actions as partner_actions
from partners.contract import Encoded, Outcome, Sender, Verdict
from partners.models import Integration

log = structlog.get_logger("exports.delivery")

SLICE_SECONDS = 5.0  # then the shard goes back: others get a turn, and a warm shutdown is short


def work(shard_id: int) -> None:
    """Deliver a slice of the shard; harmless when it is not free. Rings again when there is more to do.

    Nothing is sent from a restored dump before it has been rebased.
    """
    tune_interpreter()
    lease = None if positions.is_restored_dump() else claim(shard_id)
    if lease is None:
        return
    shard = (
        Shard.objects.select_related("run__export__project", "run__integration")
        .defer("run__integration__secrets")
        .get(pk=shard_id)
    )
    with bound_contextvars(**about(shard)):
        if lease.taken_over:
            log.warning("lease.taken_over", unconfirmed=lease.unconfirmed)
        slice_ = Slice(shard, lease)
        try:
            with Heartbeat(lease):
                wait = slice_.deliver()
        except ledger.LeaseLost:
            log.warning("lease.lost")
            return
        except AWAY as error:
            log.warning("database.away", why=reason(error))
            connection.close_if_unusable_or_obsolete()
            wait = slice_.failed()
        except Exception:  # whatever it is: said to people, and tried again later instead of at once for ever
            log.exception("slice.failed")
            wait = slice_.failed()
        slice_.finish(wait)


@cache
def tune_interpreter() -> None:
    """Once per process: fewer garbage collections, and threads that take turns sooner.

    The sender waits for the interpreter behind the encoding thread after each answer, and the default of 5 ms adds up.
    """
    collect_garbage_seldom()
    sys.setswitchinterval(0.0005)


class Slice:
    """The state of one slice. `deliver` returns the seconds to wait before the next one, 0 for at once."""

    def __init__(self, shard: Shard, lease: Lease) -> None:
        self.shard = shard
        self.run: Run = shard.run
        self.export: Export = self.run.export
        self.integration: Integration = self.run.integration
        self.lease = lease
        self.deadline = monotonic() + SLICE_SECONDS
        self.is_first = self.run.status == Status.PENDING
        self.has_more = False
        self.ends_first = False

    def deliver(self) -> float | None:
        if self.is_first:
            lifecycle.run_started(self.run, now=_now())
        if self.run.has_ceiling and positions.horizon() < (self.run.until_tx_id or 0):
            return 0.5  # a transaction that began before the ceiling is still open
        if self.run.is_endless and not self.shard.unconfirmed:
            runs.end_live(self.run, self.shard, fence=self.lease.fence, now=_now())
        try:
            if self.shard.resend_at is not None and self.shard.resend_at <= _now():
                with closing(self._sender(self.integration.settings)) as sender:
                    result = self._resend(sender)
                if result.pause or result.guard is not Guard.GO:
                    return self._paused(result)
            if not self.shard.open:
                return None
            with closing(self._sender(self.run.settings["integration"])) as sender:
                return self._deliver(sender)
        except SecretUnreadable as error:
            partner_actions.record_setup_fault(integration=self.integration, message=str(error), now=_now(), again=None)
            return 1.0

    def _sender(self, settings: dict[str, str]) -> Sender:
        return self.integration.adapter.sender(settings, self.integration.secrets)

    def _exchange(
        self, sender: Sender, settings: dict[str, str], guard: Callable[[], Guard], *, refused_in_row: int = 0
    ) -> Exchange:
        last_accepted = partial(control.last_accepted, self.integration, settings, now=_now())
        return Exchange(sender, guard, waiting={}, refused_in_row=refused_in_row, control=last_accepted)

    def _resend(self, sender: Sender) -> Result:
        """Rejected records that a person wants sent again go where the integration points today."""
        exchange = self._exchange(sender, self.integration.settings, self.lease.guard_resend)
        result = resend.resend(run=self.run, lease=self.lease, exchange=exchange, limits=sender.limits, now=_now())
        self._recovered(result)
        return result

    def _deliver(self, sender: Sender) -> float | None:
        encoder = runs.encoder(self.run, self.run.settings, now=_now())
        reader = BatchReader(self.run, self.shard, encoder, sender.limits)
        self.ends_first = self.run.is_endless and self.shard.unconfirmed > 0 and runs.is_to_end(self.export, now=_now())
        if self.ends_first:  # these are sent again as they were, device_id and all; what follows is the next run's
            reader.only_the_next(self.shard.unconfirmed)
        if self.shard.held:
            result = self._drain(sender, reader)
            if result.pause or result.guard is not Guard.GO:
                return self._paused(result)
        if not self.shard.reading:
            return None
        settings, refused_in_row = self.run.settings["integration"], self.shard.refused_in_row
        exchange = self._exchange(sender, settings, self.lease.guard, refused_in_row=refused_in_row)
        wait = self._read(reader, exchange)
        # An idle live export must not probe at each capture, unless something stood in its way.
        probes = self.is_first or not self.run.is_endless or self._is_troubled
        if probes and not exchange.requests and self.lease.guard() is Guard.GO:
            self._notice_bad_key(sender)
        return wait

    def _drain(self, sender: Sender, reader: BatchReader) -> Result:
        exchange = self._exchange(sender, self.run.settings["integration"], self.lease.guard)
        result = drain.drain(
            run=self.run, lease=self.lease, reader=reader, exchange=exchange, limits=reader.limits, now=_now()
        )
        self._recovered(result)
        return result

    def _read(self, reader: BatchReader, exchange: Exchange) -> float | None:
        with closing(ahead(reader.batches(), is_last=attrgetter("last"), name="encoder")) as batches:
            batch = next(batches)
            if records := batch.outcomes.sendable:
                ledger.mark_in_flight(self.lease, records)
            for upcoming in chain(batches, [None]):
                if batch.rows and self._holds_any:
                    ids = {key for outcome in batch.outcomes if isinstance(outcome, Encoded) for key in ids_of(outcome)}
                    exchange.waiting |= drain.waiting_among(self.export.pk, ids, now=_now())
                result = exchange.run(batch.outcomes)
                go_on = self._settle(reader, exchange, batch, result, upcoming)
                if not go_on or upcoming is None:
                    break
                batch = upcoming
        self.has_more = not go_on
        return self._paused(result)

    @cached_property
    def _holds_any(self) -> bool:
        """Asked once in a slice: what this slice itself holds, its exchange knows."""
        return drain.holds_any(self.export.pk)

    def _settle(
        self, reader: BatchReader, exchange: Exchange, batch: Batch, result: Result, upcoming: Batch | None
    ) -> bool:
        count = ledger.settled_prefix(batch, result)
        complete = count == len(batch.rows)
        in_time = monotonic() < self.deadline and not self.ends_first
        go_on = complete and result.pause is None and result.guard is Guard.GO and in_time
        if result.guard is Guard.LOST:
            raise ledger.LeaseLost
        sums = ledger.tally(batch, result, count)
        if complete and batch.last:  # nothing is left behind the cursor, even if records were deleted meanwhile
            sums.sendable = max(sums.sendable, self.shard.unconfirmed)
        guard = ledger.settle(
            run=self.run,
            lease=self.lease,
            sums=sums,
            cursor=batch.end if complete else reader.cursor(batch.rows[count - 1]) if count else None,
            last=complete and batch.last and not self.run.is_endless,
            unconfirmed=result.unconfirmed,
            in_flight=upcoming.outcomes.sendable if go_on and upcoming else 0,
            batch_records=self._working_size(reader, exchange, batch),
            refused_in_row=exchange.refused_in_row,
            control_id=batch.rows[result.accepted[-1]].id if result.accepted else None,
            now=_now(),
        )
        exchange.tell(guard)
        self._recovered(result)
        if sums.rejected or sums.held:
            log.info("records.set_aside", **set_aside(sums))
        return go_on

    def _working_size(self, reader: BatchReader, exchange: Exchange, batch: Batch) -> int | None:
        """What the next slice's requests may carry; after 413 a slice without another one tries twice as many."""
        if exchange.size is not None:
            return exchange.size
        tries_more = reader.is_cut_short and len(batch.rows) == reader.limits.records
        return self.shard.batch_records * 2 if tries_more else None

    def _paused(self, result: Result) -> float | None:
        """What follows from why sending paused; None when it did not."""
        verdict = result.pause
        if verdict is None or result.guard is not Guard.GO:
            return None
        if verdict.outcome is Outcome.SETUP_FAULT:
            return self._setup_fault(verdict)
        return self._back_off(verdict)

    def _setup_fault(self, verdict: Verdict) -> float:
        """Nothing more goes out until it is mended. A run that still points elsewhere follows its integration."""
        if runs.follow_connection(self.run):
            log.info("run.follows_connection", why=verdict.message)
            return 0.0
        again = timedelta(seconds=verdict.wait) if verdict.wait is not None else partner_actions.PROBE_EVERY
        partner_actions.record_setup_fault(
            integration=self.integration, message=verdict.message, now=_now(), again=again
        )
        return 1.0

    def _back_off(self, verdict: Verdict) -> float:
        failures = self.shard.failures + 1
        wait = verdict.wait or self.integration.adapter.backoff_seconds(failures)
        if verdict.wait is not None:
            partner_actions.pause(integration=self.integration, until=_now() + timedelta(seconds=wait))
        Shard.objects.filter(pk=self.shard.pk, fence=self.lease.fence).update(failures=failures)
        Run.objects.filter(pk=self.run.pk).update(last_error=verdict.message)
        Export.objects.filter(pk=self.export.pk).exclude(status=Status.STOPPED).update(
            last_error=verdict.message, failing_since=Coalesce("failing_since", Value(_now()))
        )
        log.warning("batch.retry", status=verdict.status, failures=failures, wait=round(wait, 1), why=verdict.message)
        return wait

    def failed(self) -> float:
        """Something that no verdict foresees went wrong: tell people, and wait as after a passing fault."""
        message = "The portal itself failed while sending. It tries again; the workers' log tells what went wrong."
        return self._back_off(Verdict(Outcome.BACK_OFF, message))

    @property
    def _is_troubled(self) -> bool:
        return bool(self.shard.failures or self.export.last_error or self.export.failing_since)

    def _recovered(self, result: Result) -> None:
        """The partner judged records: what was said of earlier faults is over, unless the whole integration has one."""
        if result.judged and self._is_troubled:
            partner_actions.got_through(integration=self.integration)
            self._fault_is_over()

    def _fault_is_over(self) -> None:
        self.shard.failures, self.export.last_error, self.export.failing_since = 0, "", None
        Shard.objects.filter(pk=self.shard.pk, fence=self.lease.fence).update(failures=0)
        mine = Export.objects.filter(pk=self.export.pk)
        mine.update(failing_since=None)
        mine.filter(integration__setup_fault="").update(last_error="", needs_attention=False)
        Run.objects.filter(pk=self.run.pk).update(last_error="")

    def _notice_bad_key(self, sender: Sender) -> None:
        """A run that sends nothing must still tell people that its key is refused, or that a fault is over."""
        if not self._is_troubled and not partner_actions.may_ask(integration=self.integration, now=_now()):
            return  # another such run has just asked
        probe = sender.probe()
        if probe.outcome is Outcome.SETUP_FAULT:
            self._setup_fault(probe)
        elif probe.outcome is Outcome.ACCEPTED:
            self._fault_is_over()

    def finish(self, wait: float | None) -> None:
        """Hand the shard back, close what is complete, and ring for what can go on at once."""
        self.shard.refresh_from_db()
        if wait is None and self.run.is_endless and self.shard.reading and not self.has_more:
            self._rest()
            return
        self.lease.release(wait=self._seconds_to_next() if wait is None and not self.shard.reading else wait)
        if not self.shard.reading:
            self.shard.open = not lifecycle.shard_read(self.shard, now=_now())
            if Export.objects.due(_now()).filter(pk=self.export.pk).exists():
                bells.ring_tick()  # for the next window
        resends = self.shard.resend_at is not None and self.shard.resend_at <= _now()
        if not wait and (self.shard.open or resends):
            bells.ring_shard(self.shard.pk, queue=tick.queue_of(self.export.frequency))

    def _seconds_to_next(self) -> float | None:
        """Until the first record that waits may go: a held one of an open shard, or one to be sent again."""
        held = drain.next_due(self.shard.pk) if self.shard.open and self.shard.held else None
        due = [moment for moment in (held, self.shard.resend_at) if moment is not None]
        return max(0.0, (min(due) - _now()).total_seconds()) if due else None

    def _rest(self) -> None:
        """A live shard that has read all there is waits for a capture, or for its first held record to fall due.

        Something may have been captured between the last page and the release: only then may it go idle.
        """
        self.lease.release(wait=self._seconds_to_next(), idle=True)
        tick.wake(now=_now(), shard_id=self.shard.pk)


def _now() -> datetime:
    return datetime.now(UTC)
