"""What can be read for an export: the event log, the profile log, and people as they are now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from events.profiles import PUSH_TOKEN

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(microseconds: int) -> datetime:
    """The instant so many microseconds after 1970, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)


class ProfileRow(NamedTuple):
    """An accepted profile update, or a person as they are now. Its first fields stand where those of EventRow do.

    `properties` is JSON text of the keys that are set, `removed` those taken away. `time_us` is when the update was
    received; of a person, the last one. A person's tx_id is 0: people are in no log, and read in the order (0, id).
    """

    id: int
    uid: bytes
    removed: Sequence[str]
    time_us: int
    tx_id: int
    person_id: int
    identity: str | None
    clevertap_id: str
    properties: bytes
    time_ms: int

    @property
    def occurred_at(self) -> datetime:
        return moment(self.time_us)

    @property
    def name(self) -> str:
        """What people call it."""
        return "User profile"

    @property
    def plain(self) -> bool:
        """Never: a partner wants the keys inside operations."""
        return False


@dataclass(frozen=True)
class Log:
    """What is read: a table and, over its alias `e`, what makes a row. `body` is the large part of it, as text.

    Times are read as whole microseconds, which both sides handle faster than a timestamp; a double holds them exactly.

    time, lane: the columns for the time axis and for cutting into shards. namespace: that of the uids of people.
    """

    table: LiteralString
    columns: LiteralString
    body: LiteralString
    time: LiteralString
    lane: LiteralString
    namespace: UUID | None = None


EVENTS = Log(
    "events_event",
    "e.id, e.uid::text, e.name_id, (date_part('epoch', e.occurred_at) * 1000000)::bigint, e.tx_id, e.person_id,"
    " e.identity, e.clevertap_id, {body}, e.flags",
    body="e.properties::text",
    time="occurred_at",
    lane="e.lane",
)
CHANGES = Log(
    "events_profilechange",
    "e.id, e.uid::text, e.removed::varchar[], (date_part('epoch', e.received_at) * 1000000)::bigint, e.tx_id,"
    " e.person_id, e.identity, e.clevertap_id, {body}",
    body="e.changed::text",
    time="received_at",
    lane="e.lane",
)
_PEOPLE = Log(
    "events_person",
    "e.id, NULL, '{{}}'::varchar[], (date_part('epoch', e.changed_at) * 1000000)::bigint, 0::bigint, e.id,"
    " e.identity, e.clevertap_id, {body}",
    body="(jsonb_strip_nulls(jsonb_build_object('Name', e.name, 'Email', e.email, 'Phone', e.phone))"
    f" || (e.properties - '{PUSH_TOKEN}'))::text",
    time="changed_at",
    lane="e.id",  # each person comes once, so any cut will do
)


ERASED: LiteralString = (
    "(SELECT project_id, record_id AS id, tx_id, name_id, occurred_at, received_at, lane"
    " FROM events_erased WHERE log = '{log}')"
)


def erased(log: Log) -> Log:
    """Rows that were in it and are deleted with their person: to be counted, there is no more of them."""
    kinds: dict[str, LiteralString] = {"events_event": "events", "events_profilechange": "changes"}
    return replace(log, table=ERASED.format(log=kinds.get(log.table, "people")))


def people(namespace: UUID) -> Log:
    """All people as they are when they are read. The uid of a row is the uuid5 of the person in the namespace."""
    return replace(_PEOPLE, namespace=namespace)
