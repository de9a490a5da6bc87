"""Applying profile updates to people, and appending them to the profile log."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
import uuid_utils
from django.db import connection

from events.models import Person
from events.operators import Operation
from events.people import Owner, lane_of
from events.profiles import COLUMNS, PUSH_TOKEN, STANDARD_NAMES
from events.properties import PROPERTIES
from events.records import EventRecord, ProfileRecord, Record
from events.refusals import TOO_MANY_PROPERTIES, Refusal, profile_refusal

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


@dataclass
class _State:
    """A person while updates are applied one after another."""

    columns: dict[str, str | None]
    properties: dict[str, Any]
    changed_at: datetime


class _Change(NamedTuple):
    """A row of the profile log. uid None: one is made."""

    record: Record
    owner: Owner
    changed: dict[str, Any]
    removed: list[str]
    uid: str | None


def apply(
    *,
    project_id: int,
    updates: Sequence[tuple[Record, Owner]],
    tx_id: int,
    received: Callable[[Record], datetime],
) -> list[tuple[int, Refusal]]:
    """Apply updates in their order, after what a merge of people brings; returns those that cannot be, by place.

    The caller holds the lock of the project's people.
    """
    people = [person.id for _, owner in updates for person in (owner.person, owner.merged) if person is not None]
    states = _load(set(people))
    refused, applied = [], []
    for record, owner in updates:
        state = states[owner.person.id]
        if owner.merged is not None and (gained := _take_over(state, states[owner.merged.id], received(record))):
            applied.append(_Change(record, owner, gained, [], None))
        if isinstance(record, EventRecord):
            continue
        try:
            changed, removed = _merge(state, record, received(record))
        except Refusal as refusal:
            refused.append((record.place, refusal))
        else:
            if record.update.logged:
                applied.append(_Change(record, owner, changed, removed, record.uid))
    _save(states)
    _append(project_id, applied, tx_id, received)
    return refused


def _load(person_ids: set[int]) -> dict[int, _State]:
    found = Person.objects.filter(pk__in=person_ids)
    return {
        person.pk: _State(
            {"name": person.name, "email": person.email, "phone": person.phone}, person.properties, person.changed_at
        )
        for person in found
    }


def _take_over(state: _State, source: _State, at: datetime) -> dict[str, Any]:
    """Move to the state what the profile of the one who is merged has and it has not; returns the keys gained.

    Where both have a value, the one of the person who goes on stays.
    """
    columns = {name: value for name, value in source.columns.items() if value and not state.columns[name]}
    properties = {key: value for key, value in source.properties.items() if key not in state.properties}
    state.columns |= columns
    state.properties = state.properties | properties
    source.columns, source.properties = dict.fromkeys(source.columns), {}
    gained = {COLUMNS[name]: value for name, value in columns.items()} | properties
    gained.pop(PUSH_TOKEN, None)
    if gained:
        state.changed_at = at
    return gained


def _merge(state: _State, record: ProfileRecord, at: datetime) -> tuple[dict[str, Any], list[str]]:
    """Change the state; the keys that are set with their new values, and those taken away. Raises Refusal."""
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
    state.properties = merged
    state.columns |= update.columns
    if update.logged:
        state.changed_at = at
    return changed, removed


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
    project_id: int,
    applied: Sequence[_Change],
    tx_id: int,
    received: Callable[[Record], datetime],
) -> None:
    raw = connection.connection
    assert raw is not None
    with psycopg.Cursor(raw) as cursor, connection.wrap_database_errors, cursor.copy(COPY_CHANGES) as copy:
        for record, owner, changed, removed, uid in applied:
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
