"""The rows of people and of what leads to them: finding them, and writing what `events.people` decided."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from django.db import connection

from events import positions
from events.models import Identifier

IDENTITY, DEVICE = Identifier.Kind.IDENTITY.value, Identifier.Kind.DEVICE.value
FBID, GPID = Identifier.Kind.FBID.value, Identifier.Kind.GPID.value

FIND = """
SELECT i.kind, i.value, p.id, p.clevertap_id, p.identity
  FROM events_identifier i JOIN events_person p ON p.id = i.person_id
 WHERE i.project_id = %s AND ({})
"""
OF_KIND = "(i.kind = %s AND i.value = ANY(%s))"
# Many may share one, so only the first of them are read: they have it in turn, when others give it up. An email is
# given back as it was asked for: PostgreSQL's upper case is not Python's, of ß for one.
# LATERAL and OFFSET: one after another along the index. For a thousand the planner would rather read the whole index.
FIND_CONTACTS = """
SELECT kind, value, id, clevertap_id, identity FROM (
    SELECT found.*, row_number() OVER (PARTITION BY kind, value ORDER BY id) AS place FROM (
        SELECT 'email' AS kind, w.email AS value, p.id, p.clevertap_id, p.identity
          FROM unnest(%(emails)s::text[]) AS w (email)
         CROSS JOIN LATERAL (SELECT id, clevertap_id, identity FROM events_person
                              WHERE project_id = %(project)s AND email IS NOT NULL AND upper(email) = upper(w.email)
                             OFFSET 0) AS p
         UNION ALL
        SELECT 'phone', w.phone, p.id, p.clevertap_id, p.identity
          FROM unnest(%(phones)s::text[]) AS w (phone)
         CROSS JOIN LATERAL (SELECT id, clevertap_id, identity FROM events_person
                              WHERE project_id = %(project)s AND phone IS NOT NULL AND phone = w.phone
                             OFFSET 0) AS p) AS found) AS placed
 WHERE place <= 10 ORDER BY id
"""
FIND_SOCIAL = """
SELECT i.kind, i.value, p.id, p.clevertap_id, p.identity
  FROM events_identifier i JOIN events_person p ON p.id = i.person_id
 WHERE i.person_id = ANY(%s) AND i.kind = ANY(%s)
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

    @property
    def is_social(self) -> bool:
        """Whether nothing but FBID or GPID names them; people.People has read all of both when that is asked."""
        return any(value == self.identity and kind in (FBID, GPID) for kind, value in self.keys)


def find(project_id: int, wanted: Mapping[str, Collection[str]]) -> tuple[str, list[Any]]:
    """Statement and values that find people by identifiers: values by kind."""
    values = [part for kind, names in wanted.items() for part in (kind, list(names))]
    return FIND.format(" OR ".join([OF_KIND] * len(wanted))), [project_id, *values]


def store(
    *,
    project_id: int,
    made: Sequence[Known],
    named: Collection[Known],
    merged: Sequence[tuple[Known, Known]],
    placed: Mapping[Key, Known],
) -> None:
    """Insert the people made and give them their ids; write new identities, merges and what leads to whom now."""
    with connection.cursor() as cursor:
        if made:
            _insert(cursor, project_id, made)
        if named:
            cursor.execute(GIVE_IDENTITY, [[person.id for person in named], [person.identity for person in named]])
        if merged:
            _merge(cursor, merged)
        if placed:
            rows = sorted(placed.items(), key=itemgetter(0))
            kinds, names = [kind for (kind, _), _ in rows], [name for (_, name), _ in rows]
            cursor.execute(INSERT_IDENTIFIERS, [project_id, kinds, names, [person.id for _, person in rows]])


def _merge(cursor: Any, merged: Sequence[tuple[Known, Known]]) -> None:
    """Into whom each one went in the end: who took somebody over may have been merged in turn."""
    last: dict[int, int] = {}
    for source, target in reversed(merged):
        last[source.id] = last.get(target.id, target.id)
    for statement in (MERGE_IDENTIFIERS, MERGE_PEOPLE):
        cursor.execute(statement, [list(last), list(last.values())])


def _insert(cursor: Any, project_id: int, made: Sequence[Known]) -> None:
    """In the order of their records: of several with one email the first seen has it."""
    devices, identities = [person.clevertap_id for person in made], [person.identity for person in made]
    cursor.execute(
        INSERT_PEOPLE, [project_id, positions.own_tx_id(), devices, identities, [person.at for person in made]]
    )
    ids = dict(cursor.fetchall())
    for person in made:
        person.id = ids[person.clevertap_id]
