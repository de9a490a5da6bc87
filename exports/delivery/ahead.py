"""Works one step ahead of whoever consumes: the next item is made in a thread while the present one is used."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def ahead(source: Generator[T, None, None], *, is_last: Callable[[T], bool], name: str) -> Generator[T, None, None]:
    """The items of `source`, which has at least one and whose last one is told by `is_last`.

    Small and idle runs have a single one: they need neither thread nor connection. Close it when not all is consumed.
    """
    item = next(source)
    if is_last(item):
        yield item
        return
    with ThreadPoolExecutor(1, thread_name_prefix=name) as pool:
        try:
            while not is_last(item):
                upcoming = pool.submit(next, source)
                yield item
                item = upcoming.result()
            yield item
        finally:
            pool.submit(source.close)
            pool.submit(connections.close_all)  # those of this thread
