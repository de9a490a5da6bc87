"""Turns of a worker in tests, and what came of them."""

from typing import Any

import orjson

from projects.models import Project
from sources.models import Pull, Source
from sources.work import work
from tests.events.capture import NOW, stored


def turn(source: Source, **options: Any) -> Source:
    """One turn of a worker, as soon as it may; the source afterwards."""
    Source.objects.filter(pk=source.pk).update(not_before=None, lease_until=None)
    work(source.pk, now=NOW, **options)
    source.refresh_from_db()
    return source


def turn_by_turn(source: Source, requests: int) -> None:
    """So many requests, in turns that are over at once."""
    for _ in range(requests):
        turn(source, seconds=0)


def numbers(project: Project) -> list[Any]:
    return [orjson.loads(row.properties)["n"] for row in stored(project)]


def only(source: Source) -> Pull:
    return Pull.objects.get(source=source)
