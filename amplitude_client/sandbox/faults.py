"""Faults on demand: what the sandbox shall do wrong, to whom, and how often."""

import dataclasses
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from amplitude_client.sandbox import answers
from amplitude_client.sandbox.wire import Reply

KINDS: Mapping[str, str] = {
    "delay": "waits `seconds`, then goes on",
    "status": "answers `status` (500, 502, 503, 504 …); with `accept` the events are taken first; `html` for a page",
    "close": "hangs up without a reply; with `accept` the events are taken first",
    "not_json": "answers 200 with a page instead of JSON; with `accept` the events are taken first",
    "bad_request": "answers 400 without indexes; `html` for the page of a load balancer",
    "invalid_key": "answers 400 “Invalid API key: …”",
    "forbidden": "answers 403",
    "too_large": "answers 413 to more than `over_bytes` or `over_events`, or to everything",
    "redirect": "answers 302 to `location`",
    "refuse_events": "400: names the events that match in `map` under `field`; `first_only` names the first",
    "first_index_only": "index maps of /batch name the first event in error only, as HTTP V2 documents them",
    "throttle": "429: names `users` and `devices`, or ids over `per_id` events a second in `window` seconds",
    "throttle_all": "429 without ids",
    "quota": "429: daily quota of `users` and `devices`, or of ids over `per_id` events in 24 hours",
    "silence": "400: silences `users` and `devices`",
}
DAY = 86_400.0


class UnknownFaultError(ValueError):
    """The description is not one of a fault; the text says why."""


def _new_meter() -> "Meter":
    return Meter()


@dataclass
class Fault:
    """Matches a request when all of region, api_key, contains, event_type, user_id, device_id that are given do;
    the last three match when one event of the request does. `count` None: as often as it comes up; `lasts` None:
    until cleared."""

    kind: str
    count: int | None = None
    probability: float = 1.0
    lasts: float | None = None
    region: str | None = None
    api_key: str | None = None
    contains: str | None = None
    event_type: str | None = None
    user_id: str | None = None
    device_id: str | None = None
    seconds: float = 0.0
    status: int = 503
    accept: bool = False
    html: bool = False
    over_bytes: int = 0
    over_events: int = 0
    location: str = "https://api2.amplitude.com/batch"
    map: str = "events_with_invalid_fields"
    field: str = "time"
    first_only: bool = False
    users: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    per_id: int = 0
    window: float = 30.0
    meter: "Meter" = dataclasses.field(default_factory=_new_meter, repr=False)
    ends_at: float | None = None

    @classmethod
    def read(cls, value: Any) -> "Fault":
        """From JSON; UnknownFaultError for a name, key or type that is none."""
        if not isinstance(value, dict) or value.get("kind") not in KINDS:
            raise UnknownFaultError(f"A fault is an object with a kind, one of: {', '.join(KINDS)}.")
        hints = get_type_hints(cls)
        known = {spec.name for spec in dataclasses.fields(cls)} - {"meter", "ends_at"}
        for key, item in value.items():
            if key not in known:
                raise UnknownFaultError(f"“{key}” is not a setting of a fault.")
            if not _fits(item, hints[key]):
                raise UnknownFaultError(f"“{key}” has a value of the wrong type.")
        lists = {key: tuple(value[key]) for key in ("users", "devices") if key in value}
        return cls(**{**value, **lists})

    def names(self, event: Mapping[str, Any]) -> bool:
        """Whether `event` has what this fault looks for."""
        wanted = (("event_type", self.event_type), ("user_id", self.user_id), ("device_id", self.device_id))
        return all(value is None or event.get(key) == value for key, value in wanted)


def _fits(value: Any, hint: Any) -> bool:
    if hint == tuple[str, ...]:
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    kinds = get_args(hint) or (hint,)
    allowed = {*kinds, int} if float in kinds else set(kinds)
    return type(value) in allowed


class Meter:
    """Events per id in a sliding window, by the sandbox's clock."""

    def __init__(self) -> None:
        self._counts: dict[str, deque[tuple[float, int]]] = defaultdict(deque)

    def over(self, id_: str, more: int, *, limit: float, window: float, now: float) -> bool:
        counts = self._counts[id_]
        while counts and counts[0][0] <= now - window:
            counts.popleft()
        return sum(count for _, count in counts) + more > limit

    def add(self, id_: str, more: int, *, now: float) -> None:
        self._counts[id_].append((now, more))


@dataclass(frozen=True)
class Incoming:
    """A request as the faults see it."""

    region: str
    api_key: str
    body: bytes
    events: Sequence[dict[str, Any]]


@dataclass
class Faults:
    """The active faults, in the order in which they were set."""

    clock: Callable[[], float]
    rng: random.Random = dataclasses.field(default_factory=random.Random)
    active: list[Fault] = dataclasses.field(default_factory=list)

    def add(self, fault: Fault) -> None:
        fault.ends_at = None if fault.lasts is None else self.clock() + fault.lasts
        self.active.append(fault)

    def clear(self) -> None:
        self.active.clear()

    def matching(self, incoming: Incoming) -> Iterator[Fault]:
        """Those that apply to the request; whoever uses one calls `spend`."""
        now = self.clock()
        self.active = [fault for fault in self.active if fault.count != 0 and (fault.ends_at or now + 1) > now]
        for fault in list(self.active):
            if _applies(fault, incoming) and self.rng.random() < fault.probability:
                yield fault

    @staticmethod
    def spend(fault: Fault) -> None:
        if fault.count is not None:
            fault.count -= 1


def _applies(fault: Fault, incoming: Incoming) -> bool:
    return (
        fault.count != 0
        and fault.region in (None, incoming.region)
        and fault.api_key in (None, incoming.api_key)
        and (fault.contains is None or fault.contains.encode() in incoming.body)
        and _names_any(fault, incoming.events)
        and _is_over(fault, incoming)
    )


def _names_any(fault: Fault, events: Sequence[dict[str, Any]]) -> bool:
    unbound = fault.event_type is None and fault.user_id is None and fault.device_id is None
    return unbound or any(fault.names(event) for event in events)


def _is_over(fault: Fault, incoming: Incoming) -> bool:
    if not fault.over_bytes and not fault.over_events:
        return True
    over_bytes = bool(fault.over_bytes) and len(incoming.body) > fault.over_bytes
    return over_bytes or (bool(fault.over_events) and len(incoming.events) > fault.over_events)


def reply_of(fault: Fault, incoming: Incoming) -> Reply | None:
    """The answer of a fault that has one; None means that the connection is closed."""
    replies: Mapping[str, Callable[[], Reply | None]] = {
        "status": lambda: (answers.html_error if fault.html else answers.server_error)(fault.status),
        "close": lambda: None,
        "not_json": answers.not_json,
        "bad_request": lambda: answers.html_error(400) if fault.html else answers.bad_request("Invalid event JSON"),
        "invalid_key": lambda: answers.invalid_key(incoming.api_key),
        "forbidden": answers.forbidden,
        "too_large": answers.too_large,
        "redirect": lambda: answers.redirect(fault.location),
        "throttle_all": lambda: answers.throttled_as_a_whole(1_000),
    }
    return replies[fault.kind]()
