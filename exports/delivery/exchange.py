"""Sends one batch and follows the partner's verdicts until each record has its outcome, or sending must pause."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from time import monotonic
from typing import cast

import structlog

from exports.delivery.lease import Guard
from exports_portal.common import timings
from partners.contract import Encoded, Encodings, Refusal, Sender, Skip, Verdict
from partners.contract import Outcome as Answer

log = structlog.get_logger("exports.delivery")

WALL = 5  # so many single records refused in a row, without a name for the culprit, may be a wall and no poison
NAMELESS = (Answer.SPLIT, Answer.TOO_LARGE)
AT_ONCE_SECONDS = 0.1
WALL_SECONDS = 600.0  # an empty list passes such a wall and tells nothing, so records try it again, but not often


@dataclass(frozen=True)
class Hold:
    """Wait `seconds` before sending this record again."""

    seconds: float
    message: str


Other = Refusal | Skip | Hold


@dataclass
class Result:
    """What became of a batch, by index, and why sending paused, if it did.

    Indexes in neither `accepted` nor `others` are open: sending paused before them. `unconfirmed` of them may have
    been taken. `judged`: the partner accepted or refused some. `batch_records`: the largest request that it accepted
    after one that was too large.
    """

    accepted: list[int] = field(default_factory=list)
    others: dict[int, Other] = field(default_factory=dict)
    pause: Verdict | None = None
    guard: Guard = Guard.GO
    judged: bool = False
    batch_records: int | None = None
    unconfirmed: int = 0


def ids_of(encoded: Encoded) -> list[str]:
    """The ids as sent, as Held rows keep them."""
    pairs = (("u", encoded.user_id), ("d", encoded.device_id))
    return [f"{kind}:{value}" for kind, value in pairs if value is not None]


class _Turn:
    """One batch while it is sent: what can be sent, the parts that remain, in order, and what is known so far."""

    def __init__(self, outcomes: Encodings) -> None:
        # Refusals and skips by the encoder are settled already; the parts name only what was made to be sent.
        others: dict[int, Other] = {**outcomes.unsendable}
        self.result = Result(others=others)
        self.outcomes = outcomes
        self.parts = deque([[index for index in range(len(outcomes)) if index not in others]])
        self.held_from: dict[str, int] = {}  # ids as sent → the first record of this batch that waits for them
        self.suspects: list[int] = []  # refused one by one since the last request that got through
        self.was_too_large = False

    def record(self, index: int) -> Encoded:
        """One that can be sent."""
        return cast(Encoded, self.outcomes[index])

    def accept(self, part: Sequence[int]) -> None:
        self.result.accepted += part
        self.suspects = []
        if self.was_too_large:
            self.result.batch_records = max(self.result.batch_records or 0, len(part))

    def take_out(self, index: int) -> None:
        """The record has been sent before its turn."""
        self.parts = deque([[other for other in part if other != index] for part in self.parts])


class Exchange:
    """One worker's conversation with one integration during a slice.

    waiting: ids as sent → the seconds that records of them must wait: later ones queue behind (rule 6).
    refused_in_row: single records refused since the last accepted request, with nothing said of why, of all slices.
    control: a record that the partner took before, if its repeat is still harmless.
    """

    def __init__(
        self,
        sender: Sender,
        guard: Callable[[], Guard],
        *,
        waiting: dict[str, float],
        refused_in_row: int = 0,
        control: Callable[[], Encodings | None] = lambda: None,
    ) -> None:
        self._sender = sender
        self._guard = guard
        self.waiting = waiting
        self.refused_in_row = refused_in_row
        self._control = control
        self.requests = 0
        self.size: int | None = None  # the working size, once an answer told that requests must be smaller
        self._told: tuple[Guard, float] | None = None
        self._accepted: Encodings | None = None  # a single record

    def tell(self, guard: Guard) -> None:
        """What settling has just heard. Requests that follow at once need no question of their own."""
        self._told = guard, monotonic()

    def run(self, outcomes: Encodings) -> Result:
        """Send all that can be sent of these, in order."""
        turn = _Turn(outcomes)
        result = turn.result
        probed = False
        while turn.parts and result.pause is None and result.guard is Guard.GO:
            part = self._next_part(turn)
            verdict = self._ask(turn, partial(self._send, turn.outcomes.pick(part))) if part else None
            if verdict is not None and not probed and _asks_for_probe(verdict, part):
                probed, probe = True, self._ask(turn, self._probe)
                verdict = verdict if probe is not None and probe.outcome is Answer.ACCEPTED else probe
            if verdict is not None:
                self._follow(turn, part, verdict)
        self.size = result.batch_records or self.size
        return result

    def _next_part(self, turn: _Turn) -> list[int]:
        part = self._without_waiting(turn, turn.parts.popleft())
        if self.size is not None and len(part) > self.size:
            turn.parts.appendleft(part[self.size :])
            part = part[: self.size]
        return part

    def _without_waiting(self, turn: _Turn, part: list[int]) -> list[int]:
        if not self.waiting:
            return part
        free = []
        for index in part:
            ids = [key for key in ids_of(turn.record(index)) if turn.held_from.get(key, -1) < index]
            if seconds := [self.waiting[key] for key in ids if key in self.waiting]:
                self._hold(turn, index, Hold(max(seconds), "An earlier record of the same id is waiting."))
            else:
                free.append(index)
        return free

    def _hold(self, turn: _Turn, index: int, hold: Hold) -> None:
        """All of its ids wait from here on. What stands before it in the batch does not: that goes first."""
        turn.result.others[index] = hold
        for key in ids_of(turn.record(index)):
            if key in turn.held_from or key not in self.waiting:
                turn.held_from[key] = min(index, turn.held_from.get(key, index))
            self.waiting[key] = max(hold.seconds, self.waiting.get(key, 0.0))

    def _ask(self, turn: _Turn, request: Callable[[], Verdict]) -> Verdict | None:
        """Make a request if one may start now; None when it may not, which ends the turn."""
        turn.result.guard = self._may_start()
        return request() if turn.result.guard is Guard.GO else None

    def _may_start(self) -> Guard:
        told = self._told
        return told[0] if told and monotonic() - told[1] < AT_ONCE_SECONDS else self._guard()

    def _send(self, records: Encodings) -> Verdict:
        verdict = self._sender.send(records)
        timings.asked_partner(status=verdict.status, ms=verdict.elapsed_ms)
        self.requests += 1
        counts = {"events": len(records), "status": verdict.status, "ms": verdict.elapsed_ms}
        if verdict.outcome is not Answer.ACCEPTED:
            log.warning("batch.refused", **counts, outcome=str(verdict.outcome), why=verdict.message)
            return verdict
        log.info("batch.delivered", **counts)
        if verdict.accepted not in (None, len(records)):
            log.warning("batch.count_differs", **counts, accepted=verdict.accepted, why=verdict.message)
        return verdict

    def _probe(self) -> Verdict:
        """After an answer that names no culprit: does even an empty list get it? Then it is no record's fault."""
        probe = replace(self._sender.probe(), unknown=False)  # what it carried is known: nothing
        return _setup_fault(probe) if probe.outcome in (*NAMELESS, Answer.SETUP_FAULT) else probe

    def _follow(self, turn: _Turn, part: list[int], verdict: Verdict) -> None:
        if verdict.outcome is Answer.ACCEPTED:
            turn.accept(part)
            self.refused_in_row, self._accepted = 0, turn.outcomes.pick(part[-1:])
        elif verdict.outcome is Answer.PARTIAL:
            self._set_aside(turn, part, verdict)
        elif verdict.outcome in NAMELESS:
            self._halve(turn, part, verdict)
        else:
            turn.result.pause = verdict
            turn.result.unconfirmed = len(part) if verdict.unknown else 0
        turn.result.judged |= verdict.outcome in (Answer.ACCEPTED, Answer.PARTIAL)

    def _set_aside(self, turn: _Turn, part: list[int], verdict: Verdict) -> None:
        others = turn.result.others
        for position, refusal in verdict.rejected.items():
            others[part[position]] = refusal
        for position, seconds in verdict.held.items():
            self._hold(turn, part[position], Hold(seconds, verdict.why_held.get(seconds, verdict.message)))
        rest = [index for index in part if index not in others]
        if len(rest) == len(part):  # an answer that names nobody must not be repeated for ever
            self._halve(turn, part, verdict)
        elif verdict.maybe_more:
            turn.parts.extendleft(_behind_the_first(rest, min((*verdict.rejected, *verdict.held))))
        else:
            turn.parts.appendleft(rest)

    def _halve(self, turn: _Turn, part: list[int], verdict: Verdict) -> None:
        turn.was_too_large |= verdict.outcome is Answer.TOO_LARGE
        if len(part) > 1:
            middle = len(part) // 2
            turn.parts.extendleft((part[middle:], part[:middle]))
            return
        turn.result.others[part[0]] = verdict.refusal or Refusal("refused", "", verdict.message, "")
        if verdict.outcome in NAMELESS:
            turn.suspects.append(part[0])
            self.refused_in_row += 1
            if self.refused_in_row >= WALL:
                self._poison_or_wall(turn, verdict)

    def _poison_or_wall(self, turn: _Turn, verdict: Verdict) -> None:
        """A wall refuses everything, so a record that gets through tells that these were poisonous.

        Under a wall nothing is rejected. Records that earlier batches of a single record lost to it stay
        rejected, and can be sent again.
        """
        last: Verdict | None = verdict
        index: int | None = None
        for index, record in self._controls(turn):
            last = self._ask(turn, partial(self._send, record))
            if last is not None and last.outcome in (Answer.ACCEPTED, Answer.PARTIAL):
                self._no_wall(turn, index if last.outcome is Answer.ACCEPTED else None, record)
                return
            if last is None or last.outcome not in NAMELESS:
                break
        for index in turn.suspects:
            del turn.result.others[index]
        if last is not None:
            turn.result.pause = _wall(last) if last.outcome in NAMELESS else last
            turn.result.unconfirmed = int(last.unknown and index is not None)

    def _controls(self, turn: _Turn) -> Iterator[tuple[int | None, Encodings]]:
        """What was accepted before: its insert_id makes a repeat harmless. Else the first records of other people."""
        accepted = self._accepted or self._control()
        if accepted is not None:
            yield None, accepted
            return
        seen = {key for index in turn.suspects for key in ids_of(turn.record(index))} | self.waiting.keys()
        free = []
        for index in chain.from_iterable(turn.parts):
            ids = ids_of(turn.record(index))
            if seen.isdisjoint(ids):
                free.append(index)
            seen.update(ids)
        for index in free[:: len(free) // WALL + 1]:
            yield index, turn.outcomes.pick([index])

    def _no_wall(self, turn: _Turn, index: int | None, record: Encodings) -> None:
        turn.suspects, self.refused_in_row = [], 0
        if index is not None:
            turn.take_out(index)
            turn.result.accepted.append(index)
            self._accepted = record


def _behind_the_first(rest: list[int], place: int) -> list[list[int]]:
    """The parts to send, last first, after an answer that may have stopped at the first bad record, at `place`.

    All before it are good. Every refusal takes one bad record away and leaves one part more, so b bad records of n
    cost 2b + 1 requests at most, and halving what is unknown keeps the records sent to about n log n in all.
    """
    middle = place + (len(rest) - place) // 2
    return [part for part in (rest[middle:], rest[:middle]) if part]


def _asks_for_probe(verdict: Verdict, part: Sequence[int]) -> bool:
    """Whether the fault may lie with none of the records: no culprit is named, or a single record is too large."""
    return verdict.outcome is Answer.SPLIT or (verdict.outcome is Answer.TOO_LARGE and len(part) == 1)


def _setup_fault(verdict: Verdict) -> Verdict:
    return Verdict(Answer.SETUP_FAULT, verdict.message, verdict.status, verdict.elapsed_ms)


def _wall(verdict: Verdict) -> Verdict:
    message = (
        f"{verdict.message} Single records were refused one after another, so something on the way may refuse all of "
        "them: no more are rejected, and nothing is sent until one gets through. Check the firewall and the proxy "
        f"between this server and the partner. The portal tries again every {WALL_SECONDS / 60:.0f} minutes."
    )
    return replace(_setup_fault(replace(verdict, message=message)), wait=WALL_SECONDS)
