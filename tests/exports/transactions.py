"""Foreign transactions held open, for rules about the horizon."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

COPIES = {
    "events": """
        INSERT INTO events_event (project_id, name_id, person_id, uid, tx_id, received_at, occurred_at, identity,
               clevertap_id, lane, properties, flags)
        SELECT project_id, name_id, person_id, gen_random_uuid(), pg_current_xact_id()::text::bigint, received_at,
               occurred_at, identity, clevertap_id, lane, properties, flags
          FROM (SELECT * FROM events_event LIMIT 1) AS one, generate_series(1, %s)""",
    "user_profiles": """
        INSERT INTO events_profilechange (project_id, person_id, uid, tx_id, received_at, identity, clevertap_id, lane,
               changed, removed)
        SELECT project_id, person_id, gen_random_uuid(), pg_current_xact_id()::text::bigint, received_at, identity,
               clevertap_id, lane, changed, removed
          FROM (SELECT * FROM events_profilechange LIMIT 1) AS one, generate_series(1, %s)""",
}


@contextmanager
def open_writer() -> Iterator["psycopg.Connection[Any]"]:
    """A connection of its own whose transaction has written, so that the horizon waits for it."""
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters) as writer:
        writer.execute("SELECT pg_current_xact_id()")
        yield writer


@contextmanager
def late_rows(kind: str, count: int) -> Iterator["psycopg.Connection[Any]"]:
    """Copies of an event or profile update that is in its log already, by a transaction that has not committed yet."""
    with open_writer() as writer:
        writer.execute(COPIES[kind], [count])
        yield writer
