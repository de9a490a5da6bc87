"""What Django leaves out: tasks that outlive the database, and COPY."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.backends.signals import connection_created

log = structlog.get_logger(__name__)
AWAY = (OperationalError, InterfaceError)


class InDoubt(OperationalError):
    """The connection broke while COMMIT waited for its answer: the transaction may be stored, or not."""


@contextmanager
def atomic() -> Iterator[None]:
    """transaction.atomic() for who tells a client what became of it. Raises InDoubt."""
    is_over = False
    try:
        with transaction.atomic():
            yield
            is_over = True
    except AWAY as error:
        if is_over:
            raise InDoubt(*error.args) from error
        raise


@contextmanager
def may_go_away() -> Iterator[None]:
    """One line in the log instead of a traceback: leases and the tick see to it that the work goes on."""
    try:
        yield
    except AWAY as error:
        log.warning("database.away", why=reason(error))
        connection.close()


@contextmanager
def single_flight(lock: int) -> Iterator[bool]:
    """Whether no process is in a block of this number already; if so, others are kept out until the block ends.

    The lock belongs to the connection: it goes with a process that dies.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        (is_first,) = cursor.fetchone()
        try:
            yield is_first
        finally:
            if is_first:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])


def bound_statements() -> None:
    """From now on the server ends statements of this process after PORTAL_REQUEST_SECONDS, and transactions that do
    nothing for twice as long: no request waits for ever, and none holds the horizon up.
    """
    connection_created.connect(_bound, dispatch_uid="bound_statements")


def _bound(connection: Any, **_: Any) -> None:
    with connection.cursor() as cursor:
        for name, seconds in (
            ("statement_timeout", settings.PORTAL_REQUEST_SECONDS),
            ("idle_in_transaction_session_timeout", 2 * settings.PORTAL_REQUEST_SECONDS),
        ):
            cursor.execute("SELECT set_config(%s, %s, false)", [name, f"{seconds}s"])


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
