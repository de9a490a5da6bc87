"""/1/profiles.json: people in two steps and by cursor (CleverTap, 2.5)."""

from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Max
from django.http import HttpRequest

from events import api_people, cursors, reading
from events.api_calls import READS_AT_ONCE, CallFailed, clevertap_call
from events.api_queries import Query, asks_for_everybody, read_query
from events.api_reads import batch_of, busy, first, incorrect
from events.property_filters import PropertyFilter
from projects.models import Project

PROFILES = "profiles"
LIFE = timedelta(days=4)  # of a walk and of each cursor


@clevertap_call("POST", "GET", slots=("read", READS_AT_ONCE), busy=busy)
def profiles(request: HttpRequest, project: Project) -> dict[str, Any]:
    """A question gives a cursor: who has an event that matches, or with no event_name everybody.

    A cursor gives a page of people, those first seen first, and the next cursor until there is none. Who comes later
    than the question is in no page.
    """
    now = datetime.now(UTC)
    if "cursor" in request.GET:
        return _page(project, request.GET["cursor"], now)
    query = None if asks_for_everybody(request) else read_query(request, project)
    newest = project.people.aggregate(newest=Max("pk"))["newest"] or 0
    return first(_cursor(project, query, newest, batch_of(request), after=0, began=now))


def _cursor(project: Project, query: Query | None, newest: int, batch: int, *, after: int, began: datetime) -> str:
    asked = None
    if query is not None:
        days = (query.start.timestamp(), query.end.timestamp())
        asked = [query.name, query.name_id, days, [astuple(one) for one in query.filters]]
    return cursors.write(PROFILES, [project.pk, asked, newest, batch, after], began=began)


def _page(project: Project, cursor: str, now: datetime) -> dict[str, Any]:
    try:
        began, content = cursors.read(PROFILES, cursor, now=now, life=LIFE, idle=LIFE)
    except cursors.BadCursor as error:
        raise incorrect(str(error)) from None
    project_id, asked, newest, batch, after = content
    if project_id != project.pk:
        raise incorrect("The cursor belongs to another account.")
    query = None
    if asked is not None:
        name, name_id, days, filters = asked
        start, end = (datetime.fromtimestamp(day, UTC) for day in days)
        query = Query(name, name_id, start, end, tuple(PropertyFilter(*one) for one in filters))
    found = _people(project, query, newest, after, batch + 1)
    people = project.people.in_bulk(found[:batch])
    records = api_people.records([people[key] for key in found[:batch] if key in people])
    # On the last page there must be no such key at all: clients go on for an empty one.
    is_last = len(found) <= batch
    more = (
        {} if is_last else {"next_cursor": _cursor(project, query, newest, batch, after=found[batch - 1], began=began)}
    )
    return {"status": "success", "records": records, **more}


def _people(project: Project, query: Query | None, newest: int, after: int, limit: int) -> list[int]:
    if query is None:
        mine = project.people.filter(pk__gt=after, pk__lte=newest, merged_into=None).order_by("pk")
        return list(mine.values_list("pk", flat=True)[:limit])
    try:
        return reading.people_with(project.pk, query, after=after, until=newest, limit=limit)
    except reading.TooLong:
        why = f"Finding them takes longer than {reading.COUNT_SECONDS} s. Ask for fewer days at a time."
        raise CallFailed(503, why) from None
