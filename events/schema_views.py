"""Settings > Schema: event names and their properties, discarding them, and the stream of what comes in."""

from collections.abc import Callable
from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from events import catalogue, schema
from events.models import EventName
from events.views import search_words, shown_row
from exports_portal.common.audit import actor_of
from exports_portal.common.htmx import go_to, render_for
from projects.models import Project, Role
from projects.pages import ProjectRequest, is_admin, project_page


@require_GET
@project_page()
def name_list(request: ProjectRequest, project: Project) -> HttpResponse:
    """All event names, of one kind or found by a search."""
    search, kind = search_words(request), request.GET.get("kind", "")
    rows = schema.names(project, today=timezone.localdate(), kind=kind, search=search, number=request.GET.get("page"))
    kinds = [("", "All"), *EventName.Kind.choices]
    context = {"rows": rows, "kinds": kinds, "kind": kind, "search": search, "project": project}
    return render(request, "events/schema_list.html", context)


@require_GET
@project_page()
def name_view(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """One event name: its state, and the properties that its events had."""
    name = get_object_or_404(project.event_names, pk=pk)
    context = {
        "name": name,
        "properties": schema.properties(name),
        "is_admin": is_admin(request),
        "project": project,
    }
    return render(request, "events/schema_view.html", context)


@require_GET
@project_page()
def stream(request: ProjectRequest, project: Project) -> HttpResponse:
    """The last records received and the last ones refused, live."""
    latest = schema.stream(project)
    rows = [shown_row(row) for row in latest.received]
    context = {"latest": rows, "refused": latest.refused, "project": project}
    return render_for(request, context, page="events/stream.html", part="events/stream_part.html")


@project_page(Role.ADMIN)
def name_discard(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then refuse events of this name from now on."""
    name = get_object_or_404(project.event_names, pk=pk)
    text = "Uploads of this event are refused from now on, with code 528. Those that were captured stay."
    return _ask(request, project, name, "Discard", text, partial(catalogue.discard, name=name))


@project_page(Role.ADMIN)
def name_restore(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then capture events of this name again."""
    name = get_object_or_404(project.event_names, pk=pk)
    text = "Uploads of this event are captured again from now on. Those that were refused meanwhile do not come back."
    return _ask(request, project, name, "Restore", text, partial(catalogue.restore, name=name))


def _ask(
    request: ProjectRequest, project: Project, name: EventName, verb: str, text: str, act: Callable[..., None]
) -> HttpResponse:
    name_url = reverse("events:schema-name", args=[project.account_id, name.pk])
    if request.method == "POST":
        act(by=actor_of(request), now=timezone.now())
        messages.success(request, f"“{name.name}” has been {verb.lower()}{'ed' if verb == 'Discard' else 'd'}")
        return go_to(request, name_url)
    context = {
        "title": f"{verb} “{name.name}”?",
        "text": text,
        "button": verb,
        "url": request.path,
        "close_url": name_url,
        "refused": "",
        "project": project,
    }
    return render_for(request, context, page="events/confirm_page.html", part="components/confirm.html")
