"""Places in the log, and how far it may be read (DESIGN 4).

tx_id = base + PostgreSQL's 64-bit transaction id. `base` belongs to the cluster it was made for; after a restore
into another cluster transaction ids start anew, so everything stops until `manage.py rebase_positions`.
"""

from django.db import connection

STATE = """
SELECT b.base + {xid}::text::bigint, b.system_identifier = c.system_identifier
  FROM events_logbase b, pg_control_system() c WHERE b.id = 1
"""
HORIZON = STATE.format(xid="pg_snapshot_xmin(pg_current_snapshot())")
CEILING = STATE.format(xid="pg_snapshot_xmax(pg_current_snapshot())")
CURRENT = STATE.format(xid="pg_current_xact_id()")


class RestoredDump(Exception):
    """The database was restored into another cluster; positions would repeat."""

    def __init__(self) -> None:
        super().__init__(
            "This database was restored from a dump, so log positions would repeat. Capture and delivery have stopped. "
            "Run: manage.py rebase_positions"
        )


def _position(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    if row is None or not row[1]:
        raise RestoredDump
    return int(row[0])


def horizon() -> int:
    """Every row below this position is committed for good. Counts open writers of the whole cluster."""
    return _position(HORIZON)


def ceiling() -> int:
    """Every transaction that has ended by now lies below this position."""
    return _position(CEILING)


def current() -> int:
    """The position of the present transaction, which must be a writing one."""
    return _position(CURRENT)
