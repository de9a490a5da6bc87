"""Who a record belongs to: identifiers lead to people, unknown ones make new people.

Rules, in the order of the records:
* an identity leads to its person, whatever the device; else FBID or GPID do. Who has no identity is shown under FBID or
  GPID, and that value leads to them as an identity, too, unless it is somebody's;
* an identity that is an email address, or a phone number with its +, leads to whoever has it in the profile, of several
  to the one first seen, when nobody has it as identity; a profile without identity is known by its Email or Phone, too;
* a new identity with a known FBID or GPID is that person's from now on; with an Email or Phone in the profile of
  somebody without identity, or on the device of such a person, it is theirs (a login);
* a new identity on a device that belongs to somebody else makes a new person, the device stays where it is;
* the device of a person without identity that turns up with a known one goes over, with all that led to that person:
  they are one from then on. So it is with somebody whom nothing but FBID or GPID names, when a record names somebody
  else as well. The profile is merged (events.updates), the events stay with the person that they had.
A person's `clevertap_id` is the first device, or one made up when there was none; it never changes.

Whoever writes people of a project holds one lock of that project until the transaction ends (`lock`), so two
uploads of the same new person make one, and no two writers can wait for each other in a circle.
"""

import re
import uuid
from bisect import insort
from collections.abc import Collection, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from django.db import connection

from events.models import Person
from events.people_rows import (
    DEVICE,
    FBID,
    FIND_CONTACTS,
    FIND_SOCIAL,
    GPID,
    IDENTITY,
    Key,
    Known,
    find,
    store,
)

LOCK_SPACE = 7_210_452  # any number of our own: advisory locks of people, one per project
EMAIL, PHONE = "email", "phone"  # in the profile; no rows of their own
AFTER_STORED = 2**62  # the place of the first person who is made here
_PHONE = re.compile(r"\+[0-9]{5,15}")


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


class Decision(NamedTuple):
    """Whose a record is, before anything is changed. joined: those who are the same person from then on."""

    person: Known
    is_new: bool
    is_renamed: bool
    joined: tuple[Known, ...]


class Owner(NamedTuple):
    """The person of a record, and the person's identity when the record came."""

    person: Known
    identity: str | None


def lock(project_id: int) -> None:
    """Wait until nobody else writes people of the project; held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, project_id % 2**31])


def contact_of(identity: str) -> Key | None:
    """The email address or phone number that an identity is, as it is looked for."""
    if "@" in identity:
        return EMAIL, identity.lower()
    return (PHONE, identity) if _PHONE.fullmatch(identity) else None


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
        others = {key for claim in claims for key in claim.others}
        for kind, value in others:
            wanted.setdefault(kind, set()).add(value)
            wanted[IDENTITY].add(value)  # under which it may be shown
        with connection.cursor() as cursor:
            # For a thousand values the planner would rather read the whole table, up to some 300,000 identifiers:
            # five times as slow, and slower with every person.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(*find(self.project_id, {kind: names for kind, names in wanted.items() if names}))
            self._note_keys(cursor.fetchall())
            if contacts := self._unknown_contacts(claims):
                emails, phones = ([value for kind, value in contacts if kind == wanted] for wanted in (EMAIL, PHONE))
                cursor.execute(FIND_CONTACTS, {"project": self.project_id, "emails": emails, "phones": phones})
                for kind, value, *person in cursor.fetchall():
                    self._has_contact(self._person(*person), (kind, value))
            if others and self._people:
                cursor.execute(FIND_SOCIAL, [list(self._people), [FBID, GPID]])
                self._note_keys(cursor.fetchall())

    def _note_keys(self, rows: Sequence[tuple[str, str, int, str, str | None]]) -> None:
        for kind, value, person_id, clevertap_id, identity in rows:
            if (kind, value) not in self._by_key:
                known = self._by_key[kind, value] = self._person(person_id, clevertap_id, identity)
                known.keys.append((kind, value))

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

    @property
    def stored(self) -> Collection[Known]:
        """Those who were stored already, and may be meant."""
        return self._people.values()

    def owners(self, claims: Sequence[Claim]) -> list[Owner]:
        """The owner of each claim, by the rules above; new people are not stored yet."""
        return [self.accept(claim, self.decide(claim)) for claim in claims]

    def named(self, identity: str) -> Sequence[Known]:
        """Whom an identity leads to. Of several who share an email address or a phone number the first is meant."""
        if person := self._by_key.get((IDENTITY, identity)):
            return [person]
        contact = contact_of(identity)
        return self._by_contact.get(contact, ()) if contact else ()

    def on_device(self, device: str) -> Sequence[Known]:
        """Whom a device leads to, or nobody."""
        person = self._by_key.get((DEVICE, device))
        return [person] if person else []

    def decide(self, claim: Claim) -> Decision:
        """Whose a record would be. It changes nothing: the record may still be refused."""
        holder = self._by_key.get((DEVICE, claim.device)) if claim.device else None
        person, is_renamed = self._known(claim, holder)
        if person is not None:
            joins = claim.others or (holder is not None and holder is not person)
            return Decision(person, False, is_renamed, self._joined(claim, holder, person) if joins else ())
        is_named = bool(claim.identity or claim.others)
        if holder is not None and (holder.identity is None or not is_named):
            return Decision(holder, False, True, ())
        device = claim.device if holder is None else None
        made = Known(0, device or f"__{uuid.uuid4().hex}", None, claim.at, AFTER_STORED + len(self._made))
        return Decision(made, True, True, ())

    def accept(self, claim: Claim, decision: Decision) -> Owner:
        """Keep to what was decided, for the records after it, too."""
        person = decision.person
        if decision.is_new:
            self._made.append(person)
            self._place((DEVICE, person.clevertap_id), person)
        for source in decision.joined:
            self._join(source, person)
        if claim.device and (DEVICE, claim.device) not in self._by_key:
            self._place((DEVICE, claim.device), person)
        self._name(person, claim, is_renamed=decision.is_renamed)
        if claim.contacts:
            self._note_contacts(person, claim.contacts)
        return Owner(person, person.identity)

    def _known(self, claim: Claim, holder: Known | None) -> tuple[Known | None, bool]:
        """Whom the record names, by whatever leads to somebody, and whether a new identity is theirs from now on."""
        if claim.identity and (person := self._by_key.get((IDENTITY, claim.identity))):
            return person, False
        if claim.others and (known := [person for key in claim.others if (person := self._by_key.get(key))]):
            return next((person for person in known if not person.is_social), known[0]), True
        if claim.identity and (holders := self.named(claim.identity)):
            return holders[0], False
        return self._by_own_contact(claim, holder), False

    def _joined(self, claim: Claim, holder: Known | None, person: Known) -> tuple[Known, ...]:
        """Those who have no identity of their own, and something that the record names leads to them."""
        named = [self._by_key.get(key) for key in claim.others]
        found = [one for one in named if one is not None and one.is_social]
        if holder is not None and holder.identity is None:
            found.append(holder)
        return tuple(one for one in dict.fromkeys(found) if one is not person)

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
            self._identify(person, value := claim.others[0][1])
            if (IDENTITY, value) not in self._by_key:
                self._place((IDENTITY, value), person)

    def _identify(self, person: Known, identity: str) -> None:
        person.identity = identity
        if person.id:
            self._named.append(person)

    def _join(self, source: Known, target: Known) -> None:
        """All that led to one leads to the other from now on."""
        self._merged.append((source, target))
        for key in source.keys:
            self._place(key, target)
        for kind in (EMAIL, PHONE):
            contact = self._gives_up(source, kind)
            if contact is not None and not self._has_any(target, kind):
                self._has_contact(target, contact)

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
        store(
            project_id=self.project_id,
            made=self._made,
            named=self._named,
            merged=self._merged,
            placed=self._placed,
        )


def lane_of(person_id: int) -> int:
    """0 to 1023, the same for ever: the upper bits of a multiplicative hash spread neighbours evenly."""
    return (person_id * 0x9E3779B1 & 0xFFFFFFFF) >> 22
