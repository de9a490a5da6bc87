"""Events and User profiles: what has come in."""

from datetime import UTC, datetime
from typing import Any

import orjson
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_GET

from events import glance, store
from events.lifetimes import lifetimes
from exports_portal.common.htmx import render_for
from projects.models import Project
from projects.pages import ProjectRequest, project_page

LAST_RECORDS = 10
LIFETIMES = 50


@require_GET
@project_page()
def event_list(request: ProjectRequest, project: Project) -> HttpResponse:
    """The catalogue, the last records received (live), and how to send one."""
    search = search_words(request)
    today = timezone.localdate()
    context = {
        "rows": SimpleLazyObject(  # htmx asks for the last records only
            lambda: glance.catalogue(project, today=today, search=search, number=request.GET.get("page"))
        ),
        "latest": [shown_row(row) for row in store.latest(project.pk, LAST_RECORDS)],
        "search": search,
        "upload_url": request.build_absolute_uri("/1/upload"),
        "settings_url": reverse("projects:project-edit", args=[project.account_id]),
        "project": project,
    }
    return render_for(request, context, page="events/event_list.html", part="events/latest.html")


@require_GET
@project_page()
def profile_list(request: ProjectRequest, project: Project) -> HttpResponse:
    """People, newest first; the search is for an identifier as a whole."""
    search = search_words(request)
    before = request.GET.get("before", "")
    people, following = glance.people(
        project, search=search, before=int(before) if before.isdecimal() and len(before) < 19 else None
    )
    context = {"people": people, "following": following, "before": before, "search": search, "project": project}
    return render(request, "events/profile_list.html", context)


@require_GET
@project_page()
def profile_view(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """One person: identifiers, properties, how often they had which event, last events."""
    person = get_object_or_404(project.people.select_related("merged_into"), pk=pk)
    context = {
        "person": person,
        "identifiers": person.identifiers.order_by("kind", "value"),
        "earlier": glance.earlier(person),
        "lifetimes": _lifetimes(person.pk),
        "events": [shown_row(row) for row in glance.last_events(person)],
        "recent": store.RECENT,
        "project": project,
    }
    return render(request, "events/profile_view.html", context)


def search_words(request: ProjectRequest) -> str:
    """What people look for; PostgreSQL takes no NUL, so none is found."""
    return request.GET.get("search", "").replace("\0", "").strip()


def shown_row(row: store.EventRow) -> dict[str, object]:
    return {"row": row, "properties": orjson.loads(row.properties)}


def _lifetimes(person_id: int) -> list[dict[str, Any]]:
    """Their most frequent events, with times instead of epoch seconds."""
    found = sorted(lifetimes([person_id]).get(person_id, {}).items(), key=lambda one: (-one[1]["count"], one[0]))
    return [
        {
            "name": name,
            "count": one["count"],
            "first": datetime.fromtimestamp(one["first_seen"], UTC),
            "last": datetime.fromtimestamp(one["last_seen"], UTC),
        }
        for name, one in found[:LIFETIMES]
    ]
