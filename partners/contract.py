"""What an adapter of a partner promises, and the small values that pass between delivery and it.

A second partner is one new file in `partners/adapters/`: it subclasses Adapter, declares its form fields
and which of them are secret, and is registered by being defined.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, overload

Settings = Mapping[str, str]
Secrets = Mapping[str, str]


@dataclass(frozen=True)
class Choice:
    value: str
    label: str
    hint: str = ""


@dataclass(frozen=True)
class Field:
    """One field of the Integrate panel. A secret is write-only and kept encrypted; only its last four are shown."""

    name: str
    label: str
    hint: str = ""
    choices: tuple[Choice, ...] = ()
    default: str = ""
    secret: bool = False
    connects: bool = False  # where to send; the secrets work there only
    as_cards: bool = False

    def check(self, value: str) -> str | None:
        """A sentence about what is wrong with `value`, or None."""
        if not value:
            return f"Enter the {self.label}." if self.secret else f"Choose a {self.label}."
        if self.secret and any(character.isspace() for character in value):
            return f"The {self.label} must not contain spaces or line breaks. Copy it again without them."
        if self.choices and value not in {choice.value for choice in self.choices}:
            allowed = ", ".join(choice.value for choice in self.choices)
            return f"“{value}” is not one of the choices: {allowed}."
        return None


class Record(Protocol):
    """One record as the reader hands it out: an event (events.store.EventRow) or a profile (events.logs.ProfileRow).

    `properties` is JSON text: those of an event, or those that a profile update sets, while `removed` names those that
    it takes away. `plain` says that the text may go to the wire as it is, without being parsed. `uid` and `properties`
    are UTF-8, as the wire wants them.
    """

    @property
    def id(self) -> int: ...
    @property
    def uid(self) -> bytes: ...
    @property
    def name(self) -> str: ...
    @property
    def time_ms(self) -> int: ...
    @property
    def person_id(self) -> int: ...
    @property
    def identity(self) -> str | None: ...
    @property
    def clevertap_id(self) -> str: ...
    @property
    def properties(self) -> bytes: ...
    @property
    def removed(self) -> Sequence[str]: ...
    @property
    def plain(self) -> bool: ...


class Contact(NamedTuple):
    """The identifiers of a person that may change, as they are now."""

    email: str | None
    phone: str | None


NO_CONTACT = Contact(None, None)
Contacts = Callable[[Iterable[int]], dict[int, Contact]]  # looks people up by their ids, all at once


@dataclass(frozen=True)
class EncodeOptions:
    """The frozen settings of a run that shape a payload; `now` bounds the times of records."""

    settings: Settings
    now: datetime
    identifier_priority: tuple[str, ...] = ("identity", "email", "phone")
    excluded_properties: frozenset[str] = frozenset()
    hyphenate_names: bool = False
    one_time: bool = False

    @property
    def rewrites(self) -> bool:
        """Whether every record's properties must be parsed."""
        return bool(self.excluded_properties) or self.hyphenate_names


class Encoded(NamedTuple):
    """One record ready for the wire: JSON bytes, the ids as sent, and how many values had to be altered."""

    body: bytes
    user_id: str | None
    device_id: str | None
    altered: int


@dataclass(frozen=True)
class Refusal:
    """Why a record is refused, by us or by the partner. All texts are for people."""

    reason: str
    field: str
    message: str
    cure: str
    payload: str = ""


@dataclass(frozen=True)
class Skip:
    """The record cannot be sent at all, for example because it has no usable identifier."""

    reason: str


class Encodings(Sequence[Encoded | Refusal | Skip]):
    """What an encoder made of records, in their order.

    Sending needs the bodies alone, so an Encoded is put together only for who looks at it: that halves the cost of
    encoding. bodies: what would be sent, b"" for what is not. odd: by index, the outcomes that are not plain; a plain
    one has identity and CleverTap ID as its ids, and nothing altered.
    """

    def __init__(
        self, records: Sequence[Record], bodies: list[bytes], odd: dict[int, Encoded | Refusal | Skip]
    ) -> None:
        self.records = records
        self.bodies = bodies
        self.odd = odd

    @classmethod
    def of(cls, records: Sequence[Record], outcomes: Sequence[Encoded | Refusal | Skip]) -> "Encodings":
        """From outcomes that are there already."""
        bodies = [outcome.body if isinstance(outcome, Encoded) else b"" for outcome in outcomes]
        return cls(records, bodies, dict(enumerate(outcomes)))

    @property
    def unsendable(self) -> dict[int, Refusal | Skip]:
        """Those that are refused or skipped already, by index."""
        return {index: outcome for index, outcome in self.odd.items() if not isinstance(outcome, Encoded)}

    @property
    def sendable(self) -> int:
        """How many can be sent."""
        return len(self.bodies) - len(self.unsendable)

    def pick(self, indexes: list[int]) -> "Encodings":
        """Some of them, by indexes that rise."""
        if len(indexes) == len(self):
            return self
        odd = {}
        for index, outcome in self.odd.items():
            place = bisect_left(indexes, index)
            if indexes[place : place + 1] == [index]:
                odd[place] = outcome
        records, bodies = map(self.records.__getitem__, indexes), map(self.bodies.__getitem__, indexes)
        return Encodings(list(records), list(bodies), odd)

    def __len__(self) -> int:
        return len(self.bodies)

    @overload
    def __getitem__(self, index: int) -> Encoded | Refusal | Skip: ...
    @overload
    def __getitem__(self, index: slice) -> "Encodings": ...
    def __getitem__(self, index: int | slice) -> "Encoded | Refusal | Skip | Encodings":
        if isinstance(index, slice):
            return self.pick(list(range(*index.indices(len(self)))))
        record, outcome = self.records[index], self.odd.get(index)
        return outcome or Encoded(self.bodies[index], record.identity, record.clevertap_id, 0)

    def __add__(self, other: "Encodings") -> "Encodings":
        if not self.bodies:
            return other
        odd = {len(self) + index: outcome for index, outcome in other.odd.items()}
        return Encodings([*self.records, *other.records], [*self.bodies, *other.bodies], {**self.odd, **odd})


class Outcome(StrEnum):
    """What an answer of the partner means for the records of one request."""

    ACCEPTED = "accepted"  # all of them are accepted
    PARTIAL = "partial"  # nothing was taken; some are named as refused or to be held, resend the others at once
    SPLIT = "split"  # nothing was taken and nothing names the culprit: halve and resend
    TOO_LARGE = "too_large"  # as SPLIT, and remember the working size
    BACK_OFF = "back_off"  # a passing fault: resend the same bytes later
    SETUP_FAULT = "setup_fault"  # no request of this integration can succeed until a person mends it


@dataclass(frozen=True)
class Verdict:
    """A partner's answer, understood.

    rejected, held: index in the request → why, or seconds to wait. why_held: seconds → the reason for such a wait, for
    people. refusal: what a single record gets when SPLIT or TOO_LARGE cannot halve any more. accepted: how many the
    partner says that it took, if it says so. maybe_more: the partner may have stopped at the first bad record.
    unknown: the partner may have taken the records. wait: seconds for which the whole integration must be left alone,
    when the partner throttles it as a whole; with SETUP_FAULT those after which the portal looks again by itself.
    """

    outcome: Outcome
    message: str = ""
    status: int | None = None
    elapsed_ms: int = 0
    rejected: Mapping[int, Refusal] = field(default_factory=dict)
    held: Mapping[int, float] = field(default_factory=dict)
    why_held: Mapping[float, str] = field(default_factory=dict)
    refusal: Refusal | None = None
    accepted: int | None = None
    maybe_more: bool = False
    unknown: bool = False
    wait: float | None = None


@dataclass(frozen=True)
class Step:
    """One named step of Test connection."""

    name: str
    outcome: Literal["passed", "failed", "skipped", "unknown"]
    message: str


@dataclass(frozen=True)
class TestReport:
    """ok is None when the answer does not tell whether the credentials work."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    ok: bool | None
    steps: tuple[Step, ...]

    @property
    def message(self) -> str:
        """What the last step said."""
        return self.steps[-1].message if self.steps else ""


@dataclass(frozen=True)
class Limits:
    """What one request may carry; bytes are of the whole body before compression."""

    records: int
    bytes: int


class Encoder(Protocol):
    """Turns records into payloads for one run; pure but for `contacts`."""

    def encode(self, records: Sequence[Record], contacts: Contacts) -> Encodings:
        """What becomes of each record, in their order."""
        ...


class Sender(Protocol):
    """One keep-alive connection of one worker to one integration. Never raises for what the network does."""

    limits: Limits

    def send(self, batch: Encodings) -> Verdict:
        """Deliver these, all of which are Encoded."""
        ...

    def probe(self) -> Verdict:
        """Ask with an empty list: tells a setup fault from one poisonous record. Records nothing."""
        ...

    def close(self) -> None: ...


class Adapter(ABC):
    """A partner. Subclasses are found by importing every module of `partners.adapters`."""

    slug: ClassVar[str]
    label: ClassVar[str]
    category: ClassVar[str]
    description: ClassVar[str]
    format: ClassVar[str] = "JSON"
    fields: ClassVar[tuple[Field, ...]]
    takes_profiles: ClassVar[bool] = False  # whether user profiles can be exported too
    reasons: ClassVar[Mapping[str, str]] = {}  # why it refuses records, in two or three words

    @property
    def invitation(self) -> str:
        """What an integration is for, on one line."""
        return f"Export your events{' and profiles' if self.takes_profiles else ''} to {self.label}"

    @abstractmethod
    def encoder(self, options: EncodeOptions) -> Encoder:
        """The encoder of events."""

    def profile_encoder(self, options: EncodeOptions) -> Encoder:
        """The encoder of user profiles, where the partner takes them."""
        raise NotImplementedError(f"{self.label} takes events only.")

    @abstractmethod
    def sender(self, settings: Settings, secrets: Secrets) -> Sender: ...

    @abstractmethod
    def test_connection(self, settings: Settings, secrets: Secrets) -> TestReport: ...

    @abstractmethod
    def backoff_seconds(self, failures: int) -> float:
        """How long to wait after so many passing faults in a row; with jitter, so that workers do not come together."""

    def reason_label(self, reason: str) -> str:
        """The reason of a Refusal for people; a code that nobody has words for, made readable."""
        return self.reasons.get(reason) or reason.replace("_", " ").capitalize()

    def choice_label(self, field_name: str, value: Any) -> str:
        """The label of a choice, for tables and sentences."""
        for spec in self.fields:
            if spec.name == field_name:
                return next((choice.label for choice in spec.choices if choice.value == value), str(value))
        return str(value)
