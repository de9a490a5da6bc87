"""Applying profile updates to people, and appending them to the profile log."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
import uuid_utils
from django.db import connection

from events.models import Person
from events.operators import Operation
from events.people import Decision, Owner, People, lane_of
from events.people_rows import Known
from events.profiles import COLUMNS, PUSH_TOKEN, STANDARD_NAMES
from events.properties import PROPERTIES
from events.records import ProfileRecord, Record
from events.refusals import TOO_MANY_PROPERTIES, profile_refusal

NO_COLUMNS: Mapping[str, str | None] = dict.fromkeys(COLUMNS)
NOT_CUSTOM = {PUSH_TOKEN, *STANDARD_NAMES.values()}
UPDATE_PEOPLE = """
UPDATE events_person p
   SET name = u.name, email = u.email, phone = u.phone, properties = u.properties, changed_at = u.changed_at
  FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::timestamptz[])
       AS u (id, name, email, phone, properties, changed_at)
 WHERE p.id = u.id
"""
COPY_CHANGES = """
COPY events_profilechange (project_id, person_id, uid, tx_id, received_at, identity, clevertap_id, lane, changed,
                         removed) FROM STDIN
"""


class _State(NamedTuple):
    """A profile, as it follows from the updates so far. Never changed in place."""

    columns: Mapping[str, str | None]
    properties: dict[str, Any]
    changed_at: datetime


_Row = tuple[dict[str, Any], list[str], str | None]  # of the log: keys set, keys removed, uid


class Plan(NamedTuple):
    """What a record makes of its person: the profile, and what the log says of it."""

    state: _State
    rows: list[_Row]


class Profiles:
    """The profiles of the people of a request, while updates change them one after another.

    The caller holds the lock of the project's people, and took it before `people` were read.
    """

    def __init__(self, people: People, received: Callable[[Record], datetime]) -> None:
        self._people = people
        self._received = received
        self._stored: dict[int, _State] | None = None
        self._changed: dict[Known, _State] = {}
        self._log: list[tuple[Record, Owner, Plan]] = []

    def plan(self, record: Record, decision: Decision) -> Plan:
        """What would follow, after what a merge of people brings. Raises Refusal; changes nothing."""
        at, rows = self._received(record), list[_Row]()
        state = self._state(decision.person)
        for source in decision.joined:
            state, gained = _taken_over(state, self._state(source), at)
            if gained:
                rows.append((gained, [], None))
        if isinstance(record, ProfileRecord):
            state, changed, removed = _merged(state, record, at)
            if record.update.logged:
                rows.append((changed, removed, record.uid))
        return Plan(state, rows)

    def keep(self, record: Record, owner: Owner, decision: Decision, plan: Plan) -> None:
        """Let it be so, for the records after it, too."""
        for source in decision.joined:
            self._changed[source] = _State(NO_COLUMNS, {}, self._state(source).changed_at)
        self._changed[owner.person] = plan.state
        self._log.append((record, owner, plan))

    def _state(self, person: Known) -> _State:
        if state := self._changed.get(person):
            return state
        if person.id:
            if self._stored is None:  # all at once: whoever may be meant
                self._stored = _load([known.id for known in self._people.stored])
            return self._stored[person.id]
        assert person.at is not None
        return _State(NO_COLUMNS, {}, person.at)

    def store(self, tx_id: int) -> None:
        """Write the profiles and the log. The people have been stored."""
        if self._changed:
            _save({person.id: state for person, state in self._changed.items()})
            _append(self._people.project_id, self._log, tx_id, self._received)


def _load(person_ids: Sequence[int]) -> dict[int, _State]:
    found = Person.objects.filter(pk__in=person_ids)
    return {
        person.pk: _State(
            {"name": person.name, "email": person.email, "phone": person.phone}, person.properties, person.changed_at
        )
        for person in found
    }


def _taken_over(state: _State, source: _State, at: datetime) -> tuple[_State, dict[str, Any]]:
    """The state with what the profile of the one who is merged has and it has not; and the keys gained.

    Where both have a value, the one of the person who goes on stays.
    """
    columns = {name: value for name, value in source.columns.items() if value and not state.columns[name]}
    properties = {key: value for key, value in source.properties.items() if key not in state.properties}
    gained = {COLUMNS[name]: value for name, value in columns.items()} | properties
    gained.pop(PUSH_TOKEN, None)
    changed_at = at if gained else state.changed_at
    return _State({**state.columns, **columns}, state.properties | properties, changed_at), gained


def _merged(state: _State, record: ProfileRecord, at: datetime) -> tuple[_State, dict[str, Any], list[str]]:
    """The state that follows; the keys that are set with their new values, and those taken away. Raises Refusal."""
    update = record.update
    merged = {key: value for key, value in state.properties.items() if key not in update.removed} | update.properties
    changed, removed = update.changed, update.removed
    if update.operations:
        changed, removed = dict(changed), list(removed)
        _operate(update.operations, merged, changed, removed)
    if (size := _custom_keys(merged)) > max(PROPERTIES, _custom_keys(state.properties)):
        raise profile_refusal(
            TOO_MANY_PROPERTIES, f"The profile would have {size} properties of its own; {PROPERTIES} is the most."
        )
    changed_at = at if update.logged else state.changed_at
    return _State({**state.columns, **update.columns}, merged, changed_at), changed, removed


def _operate(operations: list[Operation], merged: dict[str, Any], changed: dict[str, Any], removed: list[str]) -> None:
    """The log has what follows from operators, as partners know nothing of the values before."""
    for operation in operations:
        key, before = operation.key, merged.pop(operation.key, None)
        after = operation.result(before)
        if after is not None:
            merged[key] = changed[key] = after
        elif before is not None:
            removed.append(key)


def _custom_keys(properties: dict[str, Any]) -> int:
    """How many count towards the limit; of fewer than it, all, as it is asked for each update."""
    return len(properties) if len(properties) <= PROPERTIES else len(properties.keys() - NOT_CUSTOM)


def _save(states: dict[int, _State]) -> None:
    ids = sorted(states)
    rows = [states[person_id] for person_id in ids]
    columns = [[row.columns[name] for row in rows] for name in ("name", "email", "phone")]
    # Not orjson: it takes no integers beyond 64 bits, and that is how jsonb hands out large floats.
    properties = [json.dumps(row.properties, ensure_ascii=False) for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(UPDATE_PEOPLE, [ids, *columns, properties, [row.changed_at for row in rows]])


def _append(
    project_id: int, log: Sequence[tuple[Record, Owner, Plan]], tx_id: int, received: Callable[[Record], datetime]
) -> None:
    raw = connection.connection
    assert raw is not None
    with psycopg.Cursor(raw) as cursor, connection.wrap_database_errors, cursor.copy(COPY_CHANGES) as copy:
        for record, owner, plan in log:
            for changed, removed, uid in plan.rows:
                copy.write_row(
                    (
                        project_id,
                        owner.person.id,
                        uid or str(uuid_utils.uuid7()),
                        tx_id,
                        received(record),
                        owner.identity,
                        record.device or owner.person.clevertap_id,
                        lane_of(owner.person.id),
                        json.dumps(changed, ensure_ascii=False),
                        removed,
                    )
                )
