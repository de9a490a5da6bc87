"""Who a record belongs to: identifiers lead to people, unknown ones make new people.

Rules, in the order of the records:
* an identity leads to its person, whatever the device; else FBID or GPID do;
* an identity that is an email address, or a phone number with its +, leads to whoever has it in the profile, of several
  to the one first seen, when nobody has it as identity; a profile without identity is known by its Email or Phone, too;
* a new identity with a known FBID or GPID is that person's from now on; with an Email or Phone in the profile of
  somebody without identity, or on the device of such a person, it is theirs (a login);
* a new identity on a device that belongs to somebody else makes a new person, the device stays where it is;
* the device of a person without identity that turns up with a known one goes over, with all that led to that person:
  they are one from then on. The profile is merged (events.updates), the events stay with the person that they had.
A person's `clevertap_id` is the first device, or one made up when there was none; it never changes.

Whoever writes people of a project holds one lock of that project until the transaction ends (`lock`), so two
uploads of the same new person make one, and no two writers can wait for each other in a circle.
"""

import re
import uuid
from bisect import insort
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from django.db import connection

from events import positions
from events.models import Identifier, Person

LOCK_SPACE = 7_210_452  # any number of our own: advisory locks of people, one per project
IDENTITY, DEVICE = Identifier.Kind.IDENTITY.value, Identifier.Kind.DEVICE.value
FBID, GPID = Identifier.Kind.FBID.value, Identifier.Kind.GPID.value
EMAIL, PHONE = "email", "phone"  # in the profile; no rows of their own
AFTER_STORED = 2**62  # the place of the first person who is made here
_PHONE = re.compile(r"\+[0-9]{5,15}")

FIND = """
SELECT i.kind, i.value, p.id, p.clevertap_id, p.identity
  FROM events_identifier i JOIN events_person p ON p.id = i.person_id
 WHERE i.project_id = %s AND ({})
"""
OF_KIND = "(i.kind = %s AND i.value = ANY(%s))"
# Many may share one, so only the first of them are read: they have it in turn, when others give it up.
FIND_CONTACTS = """
SELECT kind, value, id, clevertap_id, identity FROM (
    SELECT found.*, row_number() OVER (PARTITION BY kind, value ORDER BY id) AS place FROM (
        SELECT 'email' AS kind, upper(p.email) AS value, p.id, p.clevertap_id, p.identity FROM events_person p
         WHERE p.project_id = %(project)s AND p.email IS NOT NULL AND upper(p.email) = ANY(%(emails)s)
         UNION ALL
        SELECT 'phone', p.phone, p.id, p.clevertap_id, p.identity FROM events_person p
         WHERE p.project_id = %(project)s AND p.phone IS NOT NULL AND p.phone = ANY(%(phones)s)) AS found) AS placed
 WHERE place <= 10 ORDER BY id
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
MERGE_IDENTIFIERS = """
UPDATE events_identifier i SET person_id = m.target
  FROM unnest(%s::bigint[], %s::bigint[]) AS m (source, target) WHERE i.person_id = m.source
"""
MERGE_PEOPLE = """
UPDATE events_person p SET merged_into_id = m.target
  FROM unnest(%s::bigint[], %s::bigint[]) AS m (source, target) WHERE m.source IN (p.id, p.merged_into_id)
"""

Key = tuple[str, str]  # a kind of identifier, and its value


class Claim(NamedTuple):
    """What a record says about its person, and when it was received. Somebody is named at least once.

    others: further names, FBID or GPID, or a second identity. contacts: Email and Phone that its profile sets, with
    None those that it removes.
    """

    identity: str | None
    device: str | None
    at: datetime
    others: tuple[Key, ...] = ()
    contacts: tuple[tuple[str, str | None], ...] = ()


class Known:
    """A person as far as capture needs it; `id` is 0 until it is stored. keys: those seen here that lead to it.

    place: grows from the one who was seen first to the last.
    """

    __slots__ = ("at", "clevertap_id", "id", "identity", "keys", "place")

    def __init__(
        self, person_id: int, clevertap_id: str, identity: str | None, at: datetime | None = None, place: int = 0
    ) -> None:
        self.id = person_id
        self.place = place or person_id
        self.clevertap_id = clevertap_id
        self.identity = identity
        self.at = at
        self.keys: list[Key] = []


class Owner(NamedTuple):
    """The person of a record, the person's identity when the record came, and who is the same person from then on."""

    person: Known
    identity: str | None
    merged: Known | None = None


def lock(project_id: int) -> None:
    """Wait until nobody else writes people of the project; held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, project_id % 2**31])


def contact_of(identity: str) -> Key | None:
    """The email address or phone number that an identity is, as it is looked for."""
    if "@" in identity:
        return EMAIL, identity.upper()
    return (PHONE, identity) if _PHONE.fullmatch(identity) else None


def find(project_id: int, wanted: Mapping[str, Collection[str]]) -> tuple[str, list[Any]]:
    """Statement and values that find people by identifiers: values by kind."""
    values = [part for kind, names in wanted.items() for part in (kind, list(names))]
    return FIND.format(" OR ".join([OF_KIND] * len(wanted))), [project_id, *values]


class People:
    """The people that a set of claims speaks of, as stored now. Make it in a transaction; reading changes nothing."""

    def __init__(self, project_id: int, claims: Sequence[Claim]) -> None:
        self.project_id = project_id
        self._people: dict[int, Known] = {}
        self._by_key: dict[Key, Known] = {}
        self._by_contact: dict[Key, list[Known]] = {}
        self._contact: dict[tuple[int, str], Key] = {}
        self._made: list[Known] = []
        self._named: list[Known] = []
        self._placed: dict[Key, Known] = {}
        self._merged: list[tuple[Known, Known]] = []
        self._load(claims)

    def _load(self, claims: Sequence[Claim]) -> None:
        wanted: dict[str, set[str]] = {
            IDENTITY: {claim.identity for claim in claims if claim.identity},
            DEVICE: {claim.device for claim in claims if claim.device},
        }
        for claim in claims:
            for kind, value in claim.others:
                wanted.setdefault(kind, set()).add(value)
        with connection.cursor() as cursor:
            # For a thousand values the planner would rather read the whole table, up to some 300,000 identifiers:
            # five times as slow, and slower with every person.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(*find(self.project_id, {kind: names for kind, names in wanted.items() if names}))
            for kind, value, *person in cursor.fetchall():
                known = self._by_key[kind, value] = self._person(*person)
                known.keys.append((kind, value))
            if contacts := self._unknown_contacts(claims):
                emails, phones = ([value for kind, value in contacts if kind == wanted] for wanted in (EMAIL, PHONE))
                cursor.execute(FIND_CONTACTS, {"project": self.project_id, "emails": emails, "phones": phones})
                for kind, value, *person in cursor.fetchall():
                    self._has_contact(self._person(*person), (kind, value))

    def _person(self, person_id: int, clevertap_id: str, identity: str | None) -> Known:
        person = self._people.get(person_id)
        if person is None:
            person = self._people[person_id] = Known(person_id, clevertap_id, identity)
        return person

    def _has_contact(self, person: Known, key: Key) -> None:
        insort(self._by_contact.setdefault(key, []), person, key=attrgetter("place"))
        self._contact[id(person), key[0]] = key

    def _gives_up(self, person: Known, kind: str) -> Key | None:
        """Takes a contact away, and tells which it was."""
        key = self._contact.pop((id(person), kind), None)
        if key is not None:
            self._by_contact[key].remove(person)
        return key

    def _first_with(self, key: Key | None) -> Known | None:
        holders = self._by_contact.get(key) if key else None
        return holders[0] if holders else None

    def _unknown_contacts(self, claims: Sequence[Claim]) -> set[Key]:
        """Emails and phones that may have to tell who somebody is, as no identity does."""
        wanted: set[Key] = set()
        for identity, _, _, _, contacts in claims:
            if identity is None or (IDENTITY, identity) not in self._by_key:
                wanted.update((kind, value) for kind, value in contacts if value is not None)
                if identity is not None and (key := contact_of(identity)):
                    wanted.add(key)
        return wanted

    @property
    def is_changed(self) -> bool:
        """Whether `owners` decided on something that must be stored."""
        return bool(self._made or self._named or self._placed or self._merged)

    def owners(self, claims: Sequence[Claim]) -> list[Owner]:
        """The owner of each claim, by the rules above; new people are not stored yet."""
        return [self._owner(claim) for claim in claims]

    def _owner(self, claim: Claim) -> Owner:
        holder = self._by_key.get((DEVICE, claim.device)) if claim.device else None
        person, is_renamed = self._known(claim, holder)
        merged = None
        if person is None:
            person, is_renamed = self._unknown(claim, holder), True
        elif claim.device and person is not holder:
            merged = self._take_device(person, claim.device, holder)
        self._name(person, claim, is_renamed=is_renamed)
        if claim.contacts:
            self._note_contacts(person, claim.contacts)
        return Owner(person, person.identity, merged)

    def _known(self, claim: Claim, holder: Known | None) -> tuple[Known | None, bool]:
        """Whom the record names, by whatever leads to somebody, and whether a new identity is theirs from now on."""
        if claim.identity and (person := self._by_key.get((IDENTITY, claim.identity))):
            return person, False
        for key in claim.others:
            if person := self._by_key.get(key):
                return person, True
        if claim.identity and (person := self._first_with(contact_of(claim.identity))):
            return person, False
        return self._by_own_contact(claim, holder), False

    def _by_own_contact(self, claim: Claim, holder: Known | None) -> Known | None:
        """A device that is somebody's tells more than Email and Phone; these never join two identities."""
        is_named = bool(claim.identity or claim.others)
        if holder is not None and (is_named or holder.identity is not None):
            return None
        for kind, value in claim.contacts:
            person = self._first_with((kind, value)) if value is not None else None
            if person is not None and (person.identity is None or not is_named):
                return person
        return None

    def _unknown(self, claim: Claim, holder: Known | None) -> Known:
        is_named = bool(claim.identity or claim.others)
        if holder is not None and (holder.identity is None or not is_named):
            return holder
        device = claim.device if holder is None else None
        person = Known(0, device or f"__{uuid.uuid4().hex}", None, claim.at, AFTER_STORED + len(self._made))
        self._made.append(person)
        self._place((DEVICE, person.clevertap_id), person)
        return person

    def _name(self, person: Known, claim: Claim, *, is_renamed: bool) -> None:
        """Let all names of the record lead to the person, unless they lead to somebody already."""
        for key in claim.others:
            if key not in self._by_key:
                self._place(key, person)
        name = claim.identity
        if name and (is_renamed or person.identity is None) and (IDENTITY, name) not in self._by_key:
            self._place((IDENTITY, name), person)
            self._identify(person, name)
        elif person.identity is None and claim.others:
            self._identify(person, claim.others[0][1])

    def _identify(self, person: Known, identity: str) -> None:
        person.identity = identity
        if person.id:
            self._named.append(person)

    def _take_device(self, owner: Known, device: str, holder: Known | None) -> Known | None:
        """The device goes over to its owner; returns who had it, if they are one person from now on."""
        if holder is None:
            self._place((DEVICE, device), owner)
            return None
        if holder.identity is not None:
            return None
        self._merged.append((holder, owner))
        for key in holder.keys:
            self._place(key, owner)
        for kind in (EMAIL, PHONE):
            contact = self._gives_up(holder, kind)
            if contact is not None and not self._has_any(owner, kind):
                self._has_contact(owner, contact)
        return holder

    def _has_any(self, person: Known, kind: str) -> bool:
        """Whether the profile has one, also one that no claim asks for."""
        if (id(person), kind) in self._contact or not person.id:
            return (id(person), kind) in self._contact
        return Person.objects.filter(pk=person.id, **{f"{kind}__isnull": False}).exists()

    def _place(self, key: Key, person: Known) -> None:
        self._by_key[key] = self._placed[key] = person
        person.keys.append(key)

    def _note_contacts(self, person: Known, contacts: Sequence[tuple[str, str | None]]) -> None:
        """What the profile is about to say, for the records after it."""
        for kind, value in contacts:
            self._gives_up(person, kind)
            if value is not None:
                self._has_contact(person, (kind, value))

    def store(self) -> None:
        """Write what `owners` decided. The caller holds the lock, and took it before this object was made."""
        with connection.cursor() as cursor:
            if self._made:
                self._insert_made(cursor)
            if self._named:
                ids_now = [person.id for person in self._named]
                cursor.execute(GIVE_IDENTITY, [ids_now, [person.identity for person in self._named]])
            if self._merged:
                self._store_merged(cursor)
            if self._placed:
                placed = sorted(self._placed.items(), key=itemgetter(0))
                kinds, names = [kind for (kind, _), _ in placed], [name for (_, name), _ in placed]
                cursor.execute(INSERT_IDENTIFIERS, [self.project_id, kinds, names, [person.id for _, person in placed]])

    def _store_merged(self, cursor: Any) -> None:
        """Into whom each one went in the end: who took somebody over may have been merged in turn."""
        last: dict[int, int] = {}
        for source, target in reversed(self._merged):
            last[source.id] = last.get(target.id, target.id)
        for statement in (MERGE_IDENTIFIERS, MERGE_PEOPLE):
            cursor.execute(statement, [list(last), list(last.values())])

    def _insert_made(self, cursor: Any) -> None:
        made = self._made  # in the order of their records: of several with one email the first seen has it
        devices, identities = [person.clevertap_id for person in made], [person.identity for person in made]
        values = [self.project_id, positions.own_tx_id(), devices, identities, [person.at for person in made]]
        cursor.execute(INSERT_PEOPLE, values)
        ids = dict(cursor.fetchall())
        for person in made:
            person.id = ids[person.clevertap_id]


def lane_of(person_id: int) -> int:
    """0 to 1023, the same for ever: the upper bits of a multiplicative hash spread neighbours evenly."""
    return (person_id * 0x9E3779B1 & 0xFFFFFFFF) >> 22
