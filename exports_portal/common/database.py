"""What Django leaves out: tasks that outlive the database, and COPY."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog
from django.db import InterfaceError, OperationalError, connection

log = structlog.get_logger(__name__)
AWAY = (OperationalError, InterfaceError)


@contextmanager
def may_go_away() -> Iterator[None]:
    """One line in the log instead of a traceback: leases and the tick see to it that the work goes on."""
    try:
        yield
    except AWAY as error:
        log.warning("database.away", why=reason(error))
        connection.close()


def reason(error: Exception) -> str:
    """The first line of what the database said."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def copy_rows(statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows by a COPY … FROM STDIN, in the open transaction; constraints hold and errors are as with INSERT."""
    connection.ensure_connection()
    raw = connection.connection
    assert raw is not None
    with psycopg.Cursor(raw) as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
