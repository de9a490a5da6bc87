"""CleverTap's read calls: events in two steps and by cursor, and counts (CleverTap, 2.3 and 2.5)."""

from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.http import HttpRequest

from events import api_records, cursors, positions, reading
from events.api_calls import READS_AT_ONCE, CallFailed, clevertap_call, is_true
from events.api_queries import Query, read_query
from events.property_filters import PropertyFilter
from projects.models import Project

BATCH, MOST = 50, 5_000
PAGE_SECONDS = 2.0
THROTTLED, IN_PROGRESS, INCORRECT_USAGE = 1, 2, 3
EVENTS = "events"


def busy(request: HttpRequest) -> CallFailed:
    """As CleverTap's clients expect it: those that ask for a cursor look at the code, and wait."""
    if "cursor" in request.GET:
        return CallFailed(429, "Too many concurrent requests")
    return CallFailed(200, "Too many concurrent requests", code=THROTTLED)


@clevertap_call("POST", "GET", slots=("read", READS_AT_ONCE), busy=busy)
def events(request: HttpRequest, project: Project) -> dict[str, Any]:
    """/1/events.json: a question gives a cursor; a cursor gives a page, and the next cursor until there is none."""
    now = datetime.now(UTC)
    if "cursor" in request.GET:
        return _page(project, request.GET["cursor"], now)
    query = read_query(request, project)
    # Below the ceiling: what comes in from now on is in no page. So the walk ends, whatever is captured meanwhile.
    batch, fields = batch_of(request), _fields(request, query)
    walk = Walk(project.pk, positions.ceiling(), project.timezone, batch, fields, query)
    return first(walk.cursor((query.start, reading.START_ID), began=now))


def first(cursor: str) -> dict[str, Any]:
    """The answer to a question. Raises CallFailed when no address could hold the cursor."""
    if len(cursor) > cursors.LONGEST:
        raise CallFailed(400, "The filters are too long for a cursor. Ask with fewer or shorter values, several times.")
    return {"cursor": cursor, "status": "success"}


@dataclass(frozen=True)
class Walk:
    """What stays the same from page to page."""

    project_id: int
    until_tx: int
    zone: str
    batch: int
    fields: api_records.Fields
    query: Query

    def cursor(self, place: tuple[datetime, int], *, began: datetime) -> str:
        query = self.query
        days = (query.start.timestamp(), query.end.timestamp())
        filters = [astuple(one) for one in query.filters]
        content = [self.project_id, self.until_tx, self.zone, self.batch, self.fields, query.name, query.name_id]
        return cursors.write(EVENTS, [*content, days, filters, _exactly(place[0]), place[1]], began=began)


def _read_cursor(project: Project, cursor: str, now: datetime) -> tuple[Walk, tuple[datetime, int], datetime]:
    try:
        began, content = cursors.read(EVENTS, cursor, now=now)
    except cursors.BadCursor as error:
        raise incorrect(str(error)) from None
    project_id, until_tx, zone, batch, fields, name, name_id, days, filters, at, row_id = content
    if project_id != project.pk:
        raise incorrect("The cursor belongs to another account.")
    start, end = (datetime.fromtimestamp(day, UTC) for day in days)
    query = Query(name, name_id, start, end, tuple(PropertyFilter(*one) for one in filters))
    walk = Walk(project_id, until_tx, zone, batch, api_records.Fields(*fields), query)
    return walk, (datetime.fromisoformat(at), row_id), began


def _exactly(moment: datetime) -> str:
    """A float would lose microseconds."""
    return moment.isoformat()


def incorrect(why: str) -> CallFailed:
    """The answer to a cursor that cannot be used."""
    return CallFailed(200, f"Incorrect Usage. {why}", code=INCORRECT_USAGE)


def _page(project: Project, cursor: str, now: datetime) -> dict[str, Any]:
    walk, place, began = _read_cursor(project, cursor, now)
    if positions.horizon() < walk.until_tx:  # an upload that began before the walk is not over
        raise CallFailed(200, "Request still in progress, please retry later", code=IN_PROGRESS)
    found, following = reading.read_page(
        project.pk,
        walk.query,
        zone=walk.zone,
        until_tx=walk.until_tx,
        after=place,
        limit=walk.batch,
        seconds=PAGE_SECONDS,
    )
    records = orjson.Fragment(api_records.as_json(found, walk.fields))
    # On the last page there must be no such key at all: clients go on for an empty one.
    more = {} if following is None else {"next_cursor": walk.cursor(following, began=began)}
    return {"status": "success", "records": records, **more}


def batch_of(request: HttpRequest) -> int:
    """How many records of a page are asked for. Raises CallFailed."""
    given = request.GET.get("batch_size", str(BATCH))
    if not (given.isascii() and given.isdigit() and int(given[:9])):
        raise CallFailed(400, "batch_size must be a number from 1 to 5000.")
    return min(int(given[:9]), MOST)  # clients that ask for more get the most, as with CleverTap


def _fields(request: HttpRequest, query: Query) -> api_records.Fields:
    return api_records.Fields(
        app=is_true(request, "app", default=False),
        profile=is_true(request, "profile", default=True),
        events=is_true(request, "events", default=True),
        session=query.name == api_records.SESSION_EVENT,
    )


@clevertap_call("POST", "GET", slots=("read", READS_AT_ONCE), busy=busy)
def count_events(request: HttpRequest, project: Project) -> dict[str, Any]:
    """/1/counts/events.json: how many events match."""
    return _count(request, project, people=False)


@clevertap_call("POST", "GET", slots=("read", READS_AT_ONCE), busy=busy)
def count_profiles(request: HttpRequest, project: Project) -> dict[str, Any]:
    """/1/counts/profiles.json: how many people have an event that matches."""
    return _count(request, project, people=True)


def _count(request: HttpRequest, project: Project, *, people: bool) -> dict[str, Any]:
    if "req_id" in request.GET:  # every count is answered at once, so nobody has one
        raise CallFailed(200, "Invalid request id", code=400)
    try:
        return {"status": "success", "count": reading.count(project.pk, read_query(request, project), people=people)}
    except reading.TooLong:
        raise CallFailed(
            503, f"Counting takes longer than {reading.COUNT_SECONDS} s. Ask for fewer days at a time."
        ) from None
