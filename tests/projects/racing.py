"""Two who act at the same moment, over two connections."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from django.db import connection, transaction


def while_uncommitted(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """What `second` gives beside a transaction of `first`, which ends once `second` waits for it or is through."""
    acted, through = Event(), Event()

    def act() -> None:
        try:
            with transaction.atomic():
                first()
                acted.set()
                while not through.is_set() and not _somebody_waits():
                    time.sleep(0.01)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        try:
            assert acted.wait(10)
            return second()
        finally:
            through.set()
            acting.result(timeout=10)


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])
