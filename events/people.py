"""Who a record belongs to: identities and devices lead to people, unknown ones make new people.

Rules, in the order of the records:
* an identity leads to its person, whatever the device;
* a new identity on the device of an anonymous person gives that person the identity (a login);
* a new identity on a device that belongs to somebody else makes a new person, the device stays where it is;
* the device of an anonymous person that turns up with a known identity goes over to it. The anonymous person keeps
  the events that it has.
A person's `clevertap_id` is the first device, or one made up when there was none; it never changes.

Whoever writes people of a project holds one lock of that project until the transaction ends (`lock`), so two
uploads of the same new person make one, and no two writers can wait for each other in a circle.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from events import positions
from events.models import Identifier

LOCK_SPACE = 7_210_452  # any number of our own: advisory locks of people, one per project
IDENTITY, DEVICE = Identifier.Kind.IDENTITY.value, Identifier.Kind.DEVICE.value

FIND = """
SELECT i.kind, i.value, p.id, p.clevertap_id, p.identity
  FROM events_identifier i JOIN events_person p ON p.id = i.person_id
 WHERE i.project_id = %s AND ((i.kind = 'identity' AND i.value = ANY(%s)) OR (i.kind = 'device' AND i.value = ANY(%s)))
"""
INSERT_PEOPLE = """
INSERT INTO events_person (project_id, clevertap_id, identity, properties, created_at, changed_at, tx_id)
SELECT %s, p.clevertap_id, p.identity, '{}', p.at, p.at, %s
  FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) AS p (clevertap_id, identity, at)
RETURNING clevertap_id, id
"""
INSERT_IDENTIFIERS = """
INSERT INTO events_identifier (project_id, kind, value, person_id)
SELECT %s, i.kind, i.value, i.person_id FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS i (kind, value, person_id)
    ON CONFLICT (project_id, kind, value) DO UPDATE SET person_id = excluded.person_id
"""
GIVE_IDENTITY = """
UPDATE events_person p SET identity = g.identity
  FROM unnest(%s::bigint[], %s::text[]) AS g (id, identity) WHERE p.id = g.id
"""


class Claim(NamedTuple):
    """What a record says about its person: at least one of identity and device, and when it was received."""

    identity: str | None
    device: str | None
    at: datetime


class Known:
    """A person as far as capture needs it; `id` is 0 until it is stored."""

    __slots__ = ("at", "clevertap_id", "id", "identity")

    def __init__(self, person_id: int, clevertap_id: str, identity: str | None, at: datetime | None = None) -> None:
        self.id = person_id
        self.clevertap_id = clevertap_id
        self.identity = identity
        self.at = at


class Owner(NamedTuple):
    """The person of a record, and the person's identity when the record came."""

    person: Known
    identity: str | None


def lock(project_id: int) -> None:
    """Wait until nobody else writes people of the project; held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, project_id % 2**31])


class People:
    """The people that a set of claims speaks of, as stored now. Make it in a transaction; reading changes nothing."""

    def __init__(self, project_id: int, claims: Sequence[Claim]) -> None:
        self.project_id = project_id
        self._by_identity: dict[str, Known] = {}
        self._by_device: dict[str, Known] = {}
        self._made: list[Known] = []
        self._logged_in: list[Known] = []
        self._placed: list[tuple[str, str, Known]] = []
        self._load(claims)

    def _load(self, claims: Sequence[Claim]) -> None:
        identities = {claim.identity for claim in claims if claim.identity}
        devices = {claim.device for claim in claims if claim.device}
        with connection.cursor() as cursor:
            # For a thousand values the planner would rather read the whole table, up to some 300,000 identifiers:
            # five times as slow, and slower with every person.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(FIND, [self.project_id, list(identities), list(devices)])
            found = cursor.fetchall()
        people: dict[int, Known] = {}
        for kind, value, person_id, clevertap_id, identity in found:
            person = people.get(person_id) or people.setdefault(person_id, Known(person_id, clevertap_id, identity))
            (self._by_identity if kind == IDENTITY else self._by_device)[value] = person

    @property
    def is_changed(self) -> bool:
        """Whether `owners` decided on something that must be stored."""
        return bool(self._made or self._logged_in or self._placed)

    def owners(self, claims: Sequence[Claim]) -> list[Owner]:
        """The owner of each claim, by the rules above; new people are not stored yet."""
        owners = []
        for claim in claims:
            person = self._owner(*claim)
            owners.append(Owner(person, claim.identity or person.identity))
        return owners

    def _owner(self, identity: str | None, device: str | None, at: datetime) -> Known:
        owner = self._by_identity.get(identity) if identity else None
        holder = self._by_device.get(device) if device else None
        if identity is None:
            return holder or self._make(None, device, at)
        if owner is None:
            if holder is not None and holder.identity is None:
                return self._log_in(holder, identity)
            return self._make(identity, device if holder is None else None, at)
        if device and (holder is None or (holder is not owner and holder.identity is None)):
            self._place(DEVICE, device, owner)
        return owner

    def _make(self, identity: str | None, device: str | None, at: datetime) -> Known:
        person = Known(0, device or f"__{uuid.uuid4().hex}", identity, at)
        self._made.append(person)
        self._place(DEVICE, person.clevertap_id, person)
        if identity:
            self._place(IDENTITY, identity, person)
        return person

    def _log_in(self, person: Known, identity: str) -> Known:
        person.identity = identity
        if person.id:
            self._logged_in.append(person)
        self._place(IDENTITY, identity, person)
        return person

    def _place(self, kind: str, value: str, person: Known) -> None:
        (self._by_identity if kind == IDENTITY else self._by_device)[value] = person
        self._placed.append((kind, value, person))

    def store(self) -> None:
        """Write what `owners` decided. The caller holds the lock, and took it before this object was made."""
        made = sorted(self._made, key=lambda person: person.clevertap_id)
        # A device may move twice within one set of records: the last place counts.
        placed = sorted(
            {(kind, value): person for kind, value, person in self._placed}.items(), key=lambda item: item[0]
        )
        with connection.cursor() as cursor:
            if made:
                tx_id = positions.own_tx_id()
                devices, identities = [person.clevertap_id for person in made], [person.identity for person in made]
                times = [person.at for person in made]
                cursor.execute(INSERT_PEOPLE, [self.project_id, tx_id, devices, identities, times])
                ids = dict(cursor.fetchall())
                for person in made:
                    person.id = ids[person.clevertap_id]
            if self._logged_in:
                ids_now = [person.id for person in self._logged_in]
                cursor.execute(GIVE_IDENTITY, [ids_now, [person.identity for person in self._logged_in]])
            if placed:
                kinds = [kind for (kind, _), _ in placed]
                names = [name for (_, name), _ in placed]
                cursor.execute(INSERT_IDENTIFIERS, [self.project_id, kinds, names, [person.id for _, person in placed]])


def lane_of(person_id: int) -> int:
    """0 to 1023, the same for ever: the upper bits of a multiplicative hash spread neighbours evenly."""
    return (person_id * 0x9E3779B1 & 0xFFFFFFFF) >> 22
