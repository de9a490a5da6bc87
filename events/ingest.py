"""The only writer of the logs: one transaction per call, in which capturing only inserts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
import uuid_utils
from django.db import connection, transaction

from events import catalogue, people, positions
from events.people import EMAIL, PHONE, Claim, Owner, People, lane_of
from events.properties import value_limit
from events.records import EventRecord, ProfileRecord, Record, read_record
from events.refusals import Refusal, RefusedRecord
from events.updates import Profiles
from exports_portal.common import bells
from exports_portal.common.database import atomic
from projects.models import Project

COPY_EVENTS = """
COPY events_event (project_id, name_id, person_id, uid, tx_id, received_at, occurred_at, identity, clevertap_id, lane,
                   properties, flags) FROM STDIN
"""


@dataclass(frozen=True)
class Result:
    """processed: records that were accepted. refused: the others, in the order of the request."""

    processed: int
    refused: list[RefusedRecord] = field(default_factory=list)


def ingest(
    *,
    project: Project,
    records: Sequence[Mapping[str, Any]],
    now: datetime,
    captured_at_event_time: bool = False,
    reserved: Collection[str] = (),
    dry_run: bool = False,
) -> Result:
    """Check, clean and store records, and make the people and names that are new. A bad record sinks no other.

    With captured_at_event_time an event counts as received when it happened (imports of history).
    reserved: event names that are refused. dry_run: the same answer, but nothing is kept (CleverTap: dryRun).
    Raises RestoredDump, and then nothing is stored; InDoubt, and then they may be.
    """
    accepted, refused = read_records(records, now=now)
    if accepted:
        capture = _Capture(project, accepted, records, now, captured_at_event_time, reserved)
        refused += capture.store(dry_run=dry_run)
    return Result(len(records) - len(refused), sorted(refused, key=lambda record: record.index))


def read_records(records: Sequence[Any], *, now: datetime) -> tuple[list[Record], list[RefusedRecord]]:
    """The records that can be stored, and those that cannot."""
    accepted: list[Record] = []
    refused: list[RefusedRecord] = []
    limit = value_limit()
    for index, record in enumerate(records):
        try:
            accepted.append(read_record(record, index=index, now=now, limit=limit))
        except Refusal as refusal:
            refused.append(RefusedRecord(index, refusal.code, refusal.error, record))
    return accepted, refused


class _Capture:
    """One transaction: names and people first, then both logs."""

    def __init__(
        self,
        project: Project,
        accepted: list[Record],
        records: Sequence[Any],
        now: datetime,
        captured_at_event_time: bool,
        reserved: Collection[str],
    ) -> None:
        self.project_id = project.pk
        self.accepted = accepted
        self.records = records
        self.now = now
        self.at_event_time = captured_at_event_time
        self.reserved = reserved
        self.is_locked = False

    def _received(self, record: Record) -> datetime:
        return record.at if self.at_event_time else self.now

    def store(self, *, dry_run: bool) -> list[RefusedRecord]:
        """Returns the records whose event name is not taken, and those that cannot be applied to their person."""
        with atomic():
            names, refused = self._names()
            if not self.accepted:
                return refused
            owners = self._known_owners()
            profiles = None
            if owners is None:
                owners, profiles, not_applied = self._new_owners()
                refused += not_applied
            if not self.accepted:
                return refused
            # Taken late: from here on this transaction holds the horizon up until it commits.
            tx_id = positions.own_tx_id()
            if profiles is not None:
                profiles.store(tx_id)
            self._copy_events(owners, names, tx_id)
            transaction.on_commit(partial(bells.ring_capture, self.project_id))
            transaction.set_rollback(dry_run)
        return refused

    def _lock(self) -> None:
        """Usually everything is known. Else what is new is stored under the lock, once it was looked for again."""
        people.lock(self.project_id)
        self.is_locked = True

    def _names(self) -> tuple[dict[str, int], list[RefusedRecord]]:
        """The ids of all names that are taken. Records with others are no longer accepted."""
        first_seen = self._first_seen()
        reserved = first_seen.keys() & set(self.reserved)
        for name in reserved:
            del first_seen[name]
        known = catalogue.lookup(self.project_id, first_seen)
        if len(known.ids) + len(known.refused) < len(first_seen):
            self._lock()
            known = catalogue.add_names(self.project_id, first_seen)
        refusals = known.refused | dict.fromkeys(reserved, catalogue.RESERVED)
        return known.ids, self._refuse_names(refusals) if refusals else []

    def _refuse_names(self, refusals: Mapping[str, Refusal]) -> list[RefusedRecord]:
        accepted, refused = [], []
        for record in self.accepted:
            refusal = refusals.get(record.name) if isinstance(record, EventRecord) else None
            if refusal is None:
                accepted.append(record)
            else:
                refused.append(RefusedRecord(record.place, refusal.code, refusal.error, self.records[record.place]))
        self.accepted = accepted
        return refused

    def _claims(self) -> list[Claim]:
        return [
            Claim(record.identity, record.device, self._received(record), record.others, _contacts(record))
            for record in self.accepted
        ]

    def _known_owners(self) -> list[Owner] | None:
        """The owners of events, as long as there is nothing to store of people; else None."""
        if self.is_locked or not all(isinstance(record, EventRecord) for record in self.accepted):
            return None
        claims = self._claims()
        found = People(self.project_id, claims)
        owners = found.owners(claims)
        return None if found.is_changed else owners

    def _new_owners(self) -> tuple[list[Owner], Profiles, list[RefusedRecord]]:
        """The owners, stored; their profiles; and the records that cannot be applied, which are no longer accepted.

        A record that is refused must have changed nobody, so it is tried before its person is named or merged.
        """
        if not self.is_locked:
            self._lock()
        claims = self._claims()
        found = People(self.project_id, claims)
        profiles = Profiles(found, self._received)
        accepted, owners, refused = [], [], []
        for record, claim in zip(self.accepted, claims, strict=True):
            decision, plan = found.decide(claim), None
            if decision.joined or isinstance(record, ProfileRecord):
                try:
                    plan = profiles.plan(record, decision)
                except Refusal as refusal:
                    refused.append(RefusedRecord(record.place, refusal.code, refusal.error, self.records[record.place]))
                    continue
            owner = found.accept(claim, decision)
            if plan is not None:
                profiles.keep(record, owner, decision, plan)
            accepted.append(record)
            owners.append(owner)
        found.store()
        self.accepted = accepted
        return owners, profiles, refused

    def _first_seen(self) -> dict[str, datetime]:
        """Each event name, in the order of the request, and when the first of it was received."""
        first: dict[str, datetime] = {}
        for record in self.accepted:
            if isinstance(record, EventRecord):
                received = self._received(record)
                if record.name not in first or received < first[record.name]:
                    first[record.name] = received
        return first

    def _copy_events(self, owners: list[Owner], names: dict[str, int], tx_id: int) -> None:
        raw = connection.connection
        assert raw is not None
        uuid7, received = uuid_utils.uuid7, str(self.now)  # one text for all: it is made of a datetime slowly
        with psycopg.Cursor(raw) as cursor, connection.wrap_database_errors, cursor.copy(COPY_EVENTS) as copy:
            for record, owner in zip(self.accepted, owners, strict=True):
                if not isinstance(record, EventRecord):
                    continue
                person = owner.person
                copy.write_row(
                    (
                        self.project_id,
                        names[record.name],
                        person.id,
                        record.uid or str(uuid7()),
                        tx_id,
                        record.at if self.at_event_time else received,
                        record.at,
                        owner.identity,
                        record.device or person.clevertap_id,
                        lane_of(person.id),
                        record.properties.decode(),
                        record.flags,
                    )
                )


def _contacts(record: Record) -> tuple[tuple[str, str | None], ...]:
    """Email and Phone that the record's profile sets or removes, as they are looked for."""
    if isinstance(record, EventRecord) or not record.update.columns:
        return ()
    columns = record.update.columns
    email = columns.get(EMAIL)
    found = {EMAIL: email.lower() if email else None, PHONE: columns.get(PHONE)}
    return tuple((kind, value) for kind, value in found.items() if kind in columns)
