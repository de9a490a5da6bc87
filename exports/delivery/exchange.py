"""Sends one batch and follows the partner's verdicts until each record has its outcome, or sending must pause."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from exports.delivery.batches import Entry
from exports.delivery.lease import Guard
from partners.contract import Encoded, Outcome, Refusal, Sender, Skip, Verdict

log = structlog.get_logger("exports.delivery")

WALL = 5  # so many single records refused in a row, without a name for the culprit, are a wall and no poison


@dataclass(frozen=True)
class Hold:
    """Wait `seconds` before sending this record again."""

    seconds: float
    message: str


@dataclass(frozen=True)
class Accepted:
    altered: int


Settled = Accepted | Refusal | Skip | Hold


@dataclass
class Result:
    """What became of a batch: outcomes by index, and why sending paused, if it did.

    `settled` may have gaps at its end when sending paused; only the prefix without gap is settled.
    """

    settled: dict[int, Settled] = field(default_factory=dict)
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
        self._suspects: list[int] = []

    def run(self, entries: Sequence[Entry]) -> Result:
        """Send all that can be sent of these entries, in order."""
        result = Result()
        self._suspects = []
        parts = deque([self._without_refused(entries, result)])
        probed = False
        while parts and result.pause is None and result.guard is Guard.GO:
            part = self._without_waiting(entries, parts.popleft(), result)
            if not part:
                continue
            result.guard = self._guard()
            if result.guard is not Guard.GO:
                break
            verdict = self._send(entries, part)
            if verdict.outcome is Outcome.SPLIT and not probed:
                probed, probe = True, self._probe()
                verdict = verdict if probe.outcome is Outcome.ACCEPTED else probe
            self._follow(entries, part, verdict, parts, result)
        return result

    def _without_refused(self, entries: Sequence[Entry], result: Result) -> list[int]:
        sendable = []
        for index, entry in enumerate(entries):
            if isinstance(entry.outcome, Encoded):
                sendable.append(index)
            else:
                result.settled[index] = entry.outcome
        return sendable

    def _without_waiting(self, entries: Sequence[Entry], part: list[int], result: Result) -> list[int]:
        if not self.waiting:
            return part
        free = []
        for index in part:
            seconds = [self.waiting[key] for key in ids_of(_encoded(entries[index])) if key in self.waiting]
            if seconds:
                result.settled[index] = Hold(max(seconds), "An earlier record of the same id is waiting.")
            else:
                free.append(index)
        return free

    def _send(self, entries: Sequence[Entry], part: list[int]) -> Verdict:
        verdict = self._sender.send([_encoded(entries[index]) for index in part])
        self.requests += 1
        event = "batch.delivered" if verdict.outcome is Outcome.ACCEPTED else "batch.refused"
        log.info(
            event,
            events=len(part),
            status=verdict.status,
            ms=verdict.elapsed_ms,
            **(
                {} if verdict.outcome is Outcome.ACCEPTED else {"outcome": str(verdict.outcome), "why": verdict.message}
            ),
        )
        return verdict

    def _probe(self) -> Verdict:
        """After an answer that names no culprit: does even an empty list get it? Then it is no record's fault."""
        probe = self._sender.probe()
        if probe.outcome in (Outcome.SPLIT, Outcome.SETUP_FAULT):
            return _setup_fault(probe)
        return probe

    def _follow(
        self, entries: Sequence[Entry], part: list[int], verdict: Verdict, parts: deque[list[int]], result: Result
    ) -> None:
        if verdict.outcome is Outcome.ACCEPTED:
            self._suspects = []
            result.unconfirmed = 0
            result.settled.update({index: Accepted(_encoded(entries[index]).altered) for index in part})
        elif verdict.outcome is Outcome.PARTIAL:
            self._set_aside(entries, part, verdict, parts, result)
        elif verdict.outcome in (Outcome.SPLIT, Outcome.TOO_LARGE):
            self._halve(part, verdict, parts, result)
        else:
            result.pause = verdict
            result.unconfirmed = len(part) if verdict.unknown else 0

    def _set_aside(
        self, entries: Sequence[Entry], part: list[int], verdict: Verdict, parts: deque[list[int]], result: Result
    ) -> None:
        for position, refusal in verdict.rejected.items():
            result.settled[part[position]] = refusal
        for position, seconds in verdict.held.items():
            result.settled[part[position]] = Hold(seconds, verdict.message)
            self.waiting.update(dict.fromkeys(ids_of(_encoded(entries[part[position]])), seconds))
        rest = [index for index in part if index not in result.settled]
        if len(rest) < len(part):
            parts.appendleft(rest)
        else:  # an answer that names nobody must not be repeated for ever
            self._halve(part, verdict, parts, result)

    def _halve(self, part: list[int], verdict: Verdict, parts: deque[list[int]], result: Result) -> None:
        if len(part) > 1:
            middle = len(part) // 2
            if verdict.outcome is Outcome.TOO_LARGE:
                result.batch_records = middle
            parts.appendleft(part[middle:])
            parts.appendleft(part[:middle])
            return
        self._suspects.append(part[0])
        result.settled[part[0]] = verdict.refusal or Refusal("refused", "", verdict.message, "")
        if verdict.outcome is Outcome.SPLIT and len(self._suspects) >= WALL:
            for index in self._suspects:
                del result.settled[index]
            result.pause = _setup_fault(verdict)


def _encoded(entry: Entry) -> Encoded:
    assert isinstance(entry.outcome, Encoded)
    return entry.outcome


def _setup_fault(verdict: Verdict) -> Verdict:
    return Verdict(Outcome.SETUP_FAULT, verdict.message, verdict.status, verdict.elapsed_ms)
