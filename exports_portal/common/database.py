"""What happens to a task when the database goes away."""

from collections.abc import Iterator
from contextlib import contextmanager

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
