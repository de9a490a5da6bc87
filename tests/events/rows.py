"""Writers of log rows with transactions of their own, for tests of what readers may see."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.db import connection

from events.models import EventName
from projects.models import Project

START = datetime(2026, 11, 1, tzinfo=UTC)
INSERT = """
INSERT INTO events_event (project_id, name_id, person_id, uid, tx_id, received_at, occurred_at, identity,
                          clevertap_id, lane, properties, flags)
VALUES (%s, %s, 1, %s, (SELECT base FROM events_logbase) + pg_current_xact_id()::text::bigint, %s, %s, 'asha', '__1',
        %s, '{"n": 1}', %s)
RETURNING id
"""
WRITE_PROFILES = """
WITH made AS (
    INSERT INTO events_person (project_id, clevertap_id, identity, properties, created_at, changed_at)
    SELECT %(project)s, gen_random_uuid(), 'person-' || n, jsonb_build_object('n', n), %(at)s, %(at)s
      FROM generate_series(1, %(count)s) AS n
    RETURNING id, clevertap_id, identity, properties)
INSERT INTO events_profilechange (project_id, person_id, uid, tx_id, received_at, identity, clevertap_id, lane, changed,
                                  removed)
SELECT %(project)s, id, gen_random_uuid(), (SELECT base FROM events_logbase) + pg_current_xact_id()::text::bigint,
       %(at)s, identity, clevertap_id, id %% 1024, properties, '{}'
  FROM made
"""


class Writer:
    """One open transaction on a connection of its own."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def event(
        self, name: EventName, *, at: datetime = START, received_at: datetime = START, lane: int = 0, flags: int = 0
    ) -> int:
        """Insert one event and return its id; it is seen by others from `commit` on."""
        values = [name.project_id, name.pk, uuid.uuid4(), received_at, at, lane, flags]
        row = self.raw.execute(INSERT, values).fetchone()
        assert row is not None
        return int(row[0])

    def events(self, name: EventName, count: int) -> list[int]:
        return [self.event(name, at=START + timedelta(seconds=number)) for number in range(count)]


def write_profiles(project: Project, count: int) -> None:
    """People of a project with one profile update each, committed."""
    with connection.cursor() as cursor:
        cursor.execute(WRITE_PROFILES, {"project": project.pk, "count": count, "at": START})


@contextmanager
def writer() -> Iterator[Writer]:
    """Use raw.commit() or raw.rollback() within; what is left open at the end is rolled back."""
    parameters = {**connection.get_connection_params()}
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters) as raw:
        yield Writer(raw)
        raw.rollback()


def committed(name: EventName, **values: Any) -> int:
    """One event in a transaction that is over."""
    with writer() as one:
        row_id = one.event(name, **values)
        one.raw.commit()
    return row_id


def name_in(project: Project, name: str = "Product Viewed") -> EventName:
    return EventName.objects.get_or_create(
        project=project, name=name, defaults={"kind": "custom", "first_seen_at": START}
    )[0]
