"""Places in the log: tx_id = base + PostgreSQL's 64-bit transaction id.

Ids and clocks are taken before commit, so a cursor on them would pass rows that appear later. Below the horizon
nothing can appear any more: readers stop there. `base` keeps tx_ids growing when a dump is restored into a cluster
whose transaction ids begin anew.
"""

from typing import Any, NamedTuple

import structlog
from django.db import connection, transaction

from exports_portal.common.errors import Refused

log = structlog.get_logger(__name__)

# One row: is the cluster the one that base belongs to, and the number asked for. With no row the log was never set up.
READ = """
SELECT b.system_identifier = s.system_identifier, b.base + {expression}::text::bigint
  FROM events_logbase b, pg_control_system() s
"""
HORIZON = READ.format(expression="pg_snapshot_xmin(pg_current_snapshot())")
CEILING = READ.format(expression="pg_snapshot_xmax(pg_current_snapshot())")
OWN = READ.format(expression="pg_current_xact_id()")

# Who holds the horizon up, and for how long: the oldest transaction of the cluster that has written, one's own aside.
OLDEST_WRITER = """
SELECT pid, application_name, state, extract(epoch FROM clock_timestamp() - xact_start)::float8
  FROM pg_stat_activity
 WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
 ORDER BY age(backend_xid) DESC LIMIT 1
"""

# Every column that stores a position is named …tx_id, also those of apps that this one may not know.
POSITION_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
 WHERE table_schema = current_schema() AND data_type = 'bigint' AND column_name LIKE '%%tx\\_id'
"""


class RestoredDump(Refused):
    """The database runs in another cluster than the one that gave out the stored positions."""

    def __init__(self) -> None:
        super().__init__(
            "This database was restored into another PostgreSQL cluster, so new log positions could repeat stored "
            "ones. Capture and delivery are stopped. Run: manage.py rebase_positions"
        )


class Writer(NamedTuple):
    """A transaction that holds the horizon up. seconds: since it began."""

    pid: int
    application: str
    state: str
    seconds: float


def oldest_writer() -> Writer | None:
    """The transaction that holds the horizon up longest; None when nobody else writes."""
    with connection.cursor() as cursor:
        cursor.execute(OLDEST_WRITER)
        row = cursor.fetchone()
    return None if row is None else Writer(*row)


def horizon() -> int:
    """Every row with a lower tx_id is committed for good. Raises RestoredDump.

    It stands still while a writing transaction is open anywhere in the cluster, one's own included.
    """
    return _read(HORIZON)


def ceiling() -> int:
    """Every row that was committed before this call has a lower tx_id. Raises RestoredDump.

    Rows below it may still be uncommitted: read only once the horizon has reached it.
    """
    return _read(CEILING)


def own_tx_id() -> int:
    """The tx_id of the running transaction, for the rows that it writes. Raises RestoredDump."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("own_tx_id() outside a transaction: rows would get another one.")
    return _read(OWN)


def _read(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        is_same_cluster, position = cursor.fetchone()
    if not is_same_cluster:
        raise RestoredDump
    return int(position)


def is_restored_dump() -> bool:
    """Whether capture and delivery are stopped until `rebase`."""
    try:
        horizon()
    except RestoredDump:
        return True
    return False


def set_up() -> None:
    """Tie an empty log to this cluster; harmless when it is tied already, to this one or another."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_logbase (id, base, system_identifier)"
            " SELECT 1, 0, system_identifier FROM pg_control_system() ON CONFLICT DO NOTHING"
        )


@transaction.atomic
def rebase() -> int | None:
    """Tie the log to this cluster: raise base above every stored position. None when there is nothing to mend.

    No stored row is rewritten. Cost: one scan of each table that holds positions.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT base FROM events_logbase FOR UPDATE")
        if not is_restored_dump():
            return None
        base = highest_stored(cursor) + 1
        cursor.execute(
            "UPDATE events_logbase SET base = %s, system_identifier = s.system_identifier FROM pg_control_system() s",
            [base],
        )
    log.warning("positions.rebased", base=base)
    return base


def highest_stored(cursor: Any) -> int:
    """The highest position in any table, cursors and windows of exports included; at least the present base."""
    cursor.execute(POSITION_COLUMNS)
    columns = cursor.fetchall()
    selects = ["SELECT base FROM events_logbase"]
    selects += [f'SELECT max("{column}") FROM "{table}"' for table, column in columns]  # noqa: S608 names of our schema
    cursor.execute(f"SELECT max(base) FROM ({' UNION ALL '.join(selects)}) AS positions")  # noqa: S608 as above
    return int(cursor.fetchone()[0])
