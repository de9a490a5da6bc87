"""Questions about events as CleverTap's read calls put them: event name, days, and filters on properties (2.3)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.http import HttpRequest

from events import catalogue, json_text
from events.api_bodies import read_json
from events.api_calls import CallFailed
from events.property_filters import PropertyFilter, Unusable, read_filters
from events.text import clean_text
from projects.models import Project

FILTERS = ("event_properties", "props")  # the second is the name that CleverTap's own clients use
KNOWN = {"event_name", "from", "to", "groups", *FILTERS}  # groups is ignored, as CleverTap does


@dataclass(frozen=True)
class Query:
    """Events of one name with start <= occurred_at < end that pass all filters."""

    name: str
    name_id: int
    start: datetime
    end: datetime
    filters: tuple[PropertyFilter, ...] = ()


def read_query(request: HttpRequest, project: Project) -> Query:
    """The question in the body of a POST, or in ?query= of either method. Raises CallFailed."""
    body = _body(request)
    unknown = [str(key) for key in body if key not in KNOWN]
    if unknown:
        offered = "event_name, from, to and event_properties"
        raise CallFailed(400, f"There is no filter {', '.join(unknown)} here. Offered are {offered}.")
    first, last = (_day(body, key) for key in ("from", "to"))
    if first > last:
        raise CallFailed(400, '"from" lies after "to".')
    try:
        filters = read_filters(next((body[key] for key in FILTERS if body.get(key)), []))
    except Unusable as error:
        raise CallFailed(400, str(error)) from None
    start, end = _midnight(first, project), _midnight(last + timedelta(days=1), project)
    name, name_id = _name(body, project)
    return Query(name, name_id, start, end, filters)


def asks_for_everybody(request: HttpRequest) -> bool:
    """Whether no event is named. Raises CallFailed for days or filters without one."""
    body = _body(request)
    if "event_name" in body:
        return False
    if given := [key for key in body if key != "groups"]:
        raise CallFailed(400, f"event_name is missing; without one, {', '.join(map(str, given))} cannot be applied.")
    return True


def _body(request: HttpRequest) -> Mapping[str, Any]:
    given = request.GET.get("query")
    if given is None and request.method == "GET":
        raise CallFailed(400, "Send the query as the body of a POST, or as ?query=; or a cursor as ?cursor=.")
    try:
        body = read_json(request) if given is None else json_text.parse(given.encode(errors="replace"))
    except ValueError as error:
        raise CallFailed(400, f"The query is {error}.") from None
    if not isinstance(body, Mapping):
        raise CallFailed(400, "The query must be a JSON object with event_name, from and to.")
    return body


def _day(body: Mapping[str, Any], key: str) -> date:
    given = str(body.get(key, ""))
    try:
        day = date.fromisoformat(f"{given[:4]}-{given[4:6]}-{given[6:]}")
    except ValueError:
        raise CallFailed(400, f'"{key}" must be a day like 20261231.') from None
    if not date.min < day < date.max:  # the day after it, and its midnight in UTC, must exist
        raise CallFailed(400, f'"{key}" must be a day from 00010102 to 99991230.')
    return day


def _midnight(day: date, project: Project) -> datetime:
    """Days are those of the project."""
    return datetime.combine(day, time(), project.tz).astimezone(UTC)


def _name(body: Mapping[str, Any], project: Project) -> tuple[str, int]:
    name = body.get("event_name")
    if not isinstance(name, str) or not name:
        raise CallFailed(400, "event_name is missing.")
    found = catalogue.ids_by_name(project.pk, [clean_text(name)])
    if not found:  # in CleverTap's words, its code and its status of 200
        raise CallFailed(200, json.dumps([f"Invalid event : {name}"], ensure_ascii=False), code=400)
    return next(iter(found.items()))
