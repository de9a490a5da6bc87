"""Sends one batch and follows the partner's verdicts until each record has its outcome, or sending must pause."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import structlog

from exports.delivery.batches import Outcome
from exports.delivery.lease import Guard
from partners.contract import Encoded, Refusal, Sender, Skip, Verdict
from partners.contract import Outcome as Answer

log = structlog.get_logger("exports.delivery")

WALL = 5  # so many single records refused in a row, without a name for the culprit, may be a wall and no poison
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

    Indexes in neither `accepted` nor `others` are open: sending paused before them.
    """

    accepted: list[int] = field(default_factory=list)
    others: dict[int, Other] = field(default_factory=dict)
    pause: Verdict | None = None
    guard: Guard = Guard.GO
    batch_records: int | None = None
    unconfirmed: int = 0


def ids_of(encoded: Encoded) -> list[str]:
    """The ids as sent, as Held rows keep them."""
    pairs = (("u", encoded.user_id), ("d", encoded.device_id))
    return [f"{kind}:{value}" for kind, value in pairs if value is not None]


class Exchange:
    """One worker's conversation with one integration during a slice.

    `waiting` maps ids as sent to the seconds that records of them must wait: later ones queue behind (DESIGN 5.6).
    """

    def __init__(self, sender: Sender, guard: Callable[[], Guard], *, waiting: dict[str, float]) -> None:
        self._sender = sender
        self._guard = guard
        self.waiting = waiting
        self.requests = 0
        self._suspects: list[int] = []  # of the batch, refused one by one since the last request that was accepted
        self._refused_in_row = 0  # the same over all batches of the slice
        self._accepted: Encoded | None = None

    def run(self, outcomes: Sequence[Outcome]) -> Result:
        """Send all that can be sent of these, in order."""
        result = Result()
        self._suspects = []
        parts = deque([_without_unsendable(outcomes, result)])
        probed = False
        while parts and result.pause is None:
            part = self._without_waiting(outcomes, parts.popleft(), result)
            if result.batch_records is not None and len(part) > result.batch_records:
                parts.appendleft(part[result.batch_records :])
                part = part[: result.batch_records]
            if not part:
                continue
            result.guard = self._guard()
            if result.guard is not Guard.GO:
                break
            verdict = self._send(outcomes, part)
            if verdict.outcome is Answer.SPLIT and not probed:
                result.guard = self._guard()
                if result.guard is not Guard.GO:
                    break
                probed, probe = True, self._probe()
                verdict = verdict if probe.outcome is Answer.ACCEPTED else probe
            self._follow(outcomes, part, verdict, parts, result)
        return result

    def _without_waiting(self, outcomes: Sequence[Outcome], part: list[int], result: Result) -> list[int]:
        if not self.waiting:
            return part
        free = []
        for index in part:
            seconds = [self.waiting[key] for key in ids_of(_encoded(outcomes[index])) if key in self.waiting]
            if seconds:
                result.others[index] = Hold(max(seconds), "An earlier record of the same id is waiting.")
            else:
                free.append(index)
        return free

    def _send(self, outcomes: Sequence[Outcome], part: list[int]) -> Verdict:
        verdict = self._sender.send([_encoded(outcomes[index]) for index in part])
        self.requests += 1
        counts = {"events": len(part), "status": verdict.status, "ms": verdict.elapsed_ms}
        if verdict.outcome is Answer.ACCEPTED:
            log.info("batch.delivered", **counts)
        else:
            log.warning("batch.refused", **counts, outcome=str(verdict.outcome), why=verdict.message)
        return verdict

    def _probe(self) -> Verdict:
        """After an answer that names no culprit: does even an empty list get it? Then it is no record's fault."""
        probe = self._sender.probe()
        if probe.outcome in (Answer.SPLIT, Answer.SETUP_FAULT):
            return _setup_fault(probe)
        return probe

    def _follow(
        self, outcomes: Sequence[Outcome], part: list[int], verdict: Verdict, parts: deque[list[int]], result: Result
    ) -> None:
        if verdict.outcome is Answer.ACCEPTED:
            self._accept(_encoded(outcomes[part[-1]]))
            result.accepted += part
        elif verdict.outcome is Answer.PARTIAL:
            self._set_aside(outcomes, part, verdict, parts, result)
        elif verdict.outcome in (Answer.SPLIT, Answer.TOO_LARGE):
            self._halve(outcomes, part, verdict, parts, result)
        else:
            result.pause = verdict
            result.unconfirmed = len(part) if verdict.unknown else 0

    def _set_aside(
        self, outcomes: Sequence[Outcome], part: list[int], verdict: Verdict, parts: deque[list[int]], result: Result
    ) -> None:
        for position, refusal in verdict.rejected.items():
            result.others[part[position]] = refusal
        for position, seconds in verdict.held.items():
            result.others[part[position]] = Hold(seconds, verdict.message)
            self.waiting.update(dict.fromkeys(ids_of(_encoded(outcomes[part[position]])), seconds))
        rest = [index for index in part if index not in result.others]
        if len(rest) == len(part):  # an answer that names nobody must not be repeated for ever
            self._halve(outcomes, part, verdict, parts, result)
        elif verdict.maybe_more:
            parts.extendleft(_behind_the_first(rest, min((*verdict.rejected, *verdict.held))))
        else:
            parts.appendleft(rest)

    def _accept(self, record: Encoded) -> None:
        self._suspects, self._refused_in_row, self._accepted = [], 0, record

    def _halve(
        self, outcomes: Sequence[Outcome], part: list[int], verdict: Verdict, parts: deque[list[int]], result: Result
    ) -> None:
        if len(part) > 1:
            middle = len(part) // 2
            if verdict.outcome is Answer.TOO_LARGE:
                result.batch_records = middle
            parts.appendleft(part[middle:])
            parts.appendleft(part[:middle])
            return
        result.others[part[0]] = verdict.refusal or Refusal("refused", "", verdict.message, "")
        if verdict.outcome is Answer.SPLIT:
            self._suspects.append(part[0])
            self._refused_in_row += 1
            if self._refused_in_row >= WALL:
                self._poison_or_wall(verdict, result)

    def _poison_or_wall(self, verdict: Verdict, result: Result) -> None:
        """A wall refuses everything, so what was accepted before tells: its insert_id makes a repeat harmless.

        Under a wall nothing is rejected. Where nothing has been accepted in this slice a wall is assumed (DESIGN 6);
        records that earlier batches of a single record lost to it stay rejected, and can be sent again.
        """
        if self._accepted is not None:
            result.guard = self._guard()
            if result.guard is not Guard.GO:
                return
            control = self._sender.send([self._accepted])
            self.requests += 1
            if control.outcome is Answer.ACCEPTED:
                self._accept(self._accepted)
                return
            verdict = control
        for index in self._suspects:
            del result.others[index]
        result.pause = _setup_fault(verdict, wait=WALL_SECONDS) if verdict.outcome is Answer.SPLIT else verdict


def _behind_the_first(rest: list[int], place: int) -> list[list[int]]:
    """The parts to send, last first, after an answer that may have stopped at the first bad record, at `place`.

    All before it are good. Every refusal takes one bad record away and leaves one part more, so b bad records of n
    cost 2b + 1 requests at most, and halving what is unknown keeps the records sent to about n log n in all.
    """
    middle = place + (len(rest) - place) // 2
    return [part for part in (rest[middle:], rest[:middle]) if part]


def _without_unsendable(outcomes: Sequence[Outcome], result: Result) -> list[int]:
    """Indexes of what can be sent; refusals and skips by the encoder are settled already."""
    result.others |= {index: outcome for index, outcome in enumerate(outcomes) if not isinstance(outcome, Encoded)}
    return [index for index in range(len(outcomes)) if index not in result.others]


def _encoded(outcome: Outcome) -> Encoded:
    return cast(Encoded, outcome)


def _setup_fault(verdict: Verdict, *, wait: float | None = None) -> Verdict:
    return Verdict(Answer.SETUP_FAULT, verdict.message, verdict.status, verdict.elapsed_ms, wait=wait)
