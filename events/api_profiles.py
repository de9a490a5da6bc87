"""CleverTap's calls on single people: read, delete, demerge (CleverTap, delete user profile)."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest

from events import api_people
from events.api_bodies import read_json
from events.api_calls import READS_AT_ONCE, UPLOADS_AT_ONCE, CallFailed, clevertap_call
from events.demerge import demerge
from events.erasure import delete_people
from events.lookups import Shared, find
from events.models import Person
from events.records import read_identity
from events.refusals import Refusal
from events.text import clean_text
from exports_portal.common.audit import Actor
from projects.models import Project

AT_ONCE = 100  # people in one call
LOOKUPS = ("identity", "email", "objectId")
WHAT_STAYS = "Profiles stay as they are: what an anonymous profile brought along is the person's, and not given back."
CALLER = Actor(None, "CleverTap API")


@clevertap_call("GET", slots=("read", READS_AT_ONCE))
def profile(request: HttpRequest, project: Project) -> dict[str, Any]:
    """GET /1/profile.json?identity=, ?email= or ?objectId=."""
    given = {key: clean_text(request.GET[key]) for key in LOOKUPS if request.GET.get(key)}
    if len(given) != 1:
        raise CallFailed(400, f"Send one of {', '.join(LOOKUPS)}.")
    ((key, value),) = given.items()
    person = _find(project, key, value)
    if person is None:
        raise CallFailed(404, f"There is no profile with the {key} {value}.")
    return {"status": "success", "record": api_people.records([person])[0]}


def _find(project: Project, key: str, value: str) -> Person | None:
    if key == "email":
        return project.people.filter(email__iexact=value).order_by("pk").first()
    ids = [value]
    ((_, known),) = find(project.pk, identities=ids) if key == "identity" else find(project.pk, devices=ids)
    return project.people.filter(pk=known[0].id).first() if known else None


@clevertap_call("POST", slots=("profiles", UPLOADS_AT_ONCE))
def delete(request: HttpRequest, project: Project) -> dict[str, Any]:
    """POST /1/delete/profiles.json: people by identity or guid, gone at once; their records follow within minutes."""
    body = _body(request)
    identities, devices = _ids(body, "identity"), _ids(body, "guid")
    if not identities and not devices:
        raise CallFailed(400, f'Send "identity" or "guid" with up to {AT_ONCE} ids.')
    try:
        count = delete_people(project=project, identities=identities, devices=devices, by=CALLER, now=datetime.now(UTC))
    except Shared as shared:
        raise CallFailed(400, f"{shared} Nobody was deleted.") from None
    return {"status": "success", "processed": count}


@clevertap_call("POST", slots=("profiles", UPLOADS_AT_ONCE))
def demerge_profiles(request: HttpRequest, project: Project) -> dict[str, Any]:
    """POST /1/demerge/profiles.json: what was merged into these people by mistake leads to them no longer."""
    identities = _ids(_body(request), "identities")
    if not identities:
        raise CallFailed(400, f'Send "identities" with up to {AT_ONCE} of them.')
    try:
        count = demerge(project=project, identities=identities, by=CALLER, now=datetime.now(UTC))
    except Shared as shared:
        raise CallFailed(400, f"{shared} Nobody was demerged.") from None
    return {"status": "success", "processed": count, **({"note": WHAT_STAYS} if count else {})}


def _body(request: HttpRequest) -> dict[str, Any]:
    body = read_json(request)
    if not isinstance(body, dict):
        raise CallFailed(400, "The body must be a JSON object.")
    return body


def _ids(body: dict[str, Any], key: str) -> list[str]:
    """One id or a list of them, texts or numbers."""
    given = body.get(key)
    values = given if isinstance(given, list) else [] if given is None else [given]
    if len(values) > AT_ONCE:
        raise CallFailed(400, f'"{key}" has {len(values)} ids; {AT_ONCE} is the most. Send several calls.')
    try:
        return [found for value in values if (found := read_identity(value)) is not None]
    except Refusal as refusal:
        raise CallFailed(400, f'"{key}": {refusal.error}') from None
