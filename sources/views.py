"""Settings > Project > Sources: accounts at CleverTap that events are brought in from."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from exports_portal.common.audit import actor_of
from exports_portal.common.errors import Refused
from exports_portal.common.forms import accepts
from exports_portal.common.htmx import go_to, render_for
from projects.models import Project, Role
from projects.pages import ProjectRequest, project_page
from sources import actions, progress
from sources.forms import SourceForm
from sources.models import Source
from sources.spec import SourceSpec, spec_of


@require_GET
@project_page()
def source_list(request: ProjectRequest, project: Project) -> HttpResponse:
    """All sources with how far they are."""
    context = {"rows": progress.all_of(project), "is_admin": request.role == Role.ADMIN, "project": project}
    return render(request, "sources/source_list.html", context)


@require_GET
@project_page()
def source_view(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """One source: progress and counts, live."""
    source = _source(project, pk)
    context = {
        "source": source,
        "progress": progress.of(source),
        "by_event": progress.by_event(source),
        "pulls": progress.last_pulls(source),
        "waits_until": progress.waits_until(source, now=timezone.now()),
        "is_admin": request.role == Role.ADMIN,
        "project": project,
    }
    return render_for(request, context, page="sources/source_view.html", part="sources/source_progress.html")


@project_page(Role.ADMIN)
def source_new(request: ProjectRequest, project: Project) -> HttpResponse:
    """The panel Import from CleverTap."""
    initial = {"timezone": project.timezone, "region": "eu1"}
    form = SourceForm(request.POST or None, initial=initial)
    made: list[Source] = []

    def create() -> None:
        spec = SourceSpec(**form.cleaned_data)
        made.append(actions.create_source(project=project, spec=spec, by=actor_of(request), now=timezone.now()))

    if request.method == "POST" and accepts(form, create):
        messages.success(request, f"Import from {made[0]} has begun")
        return go_to(request, _url("source-view", project, made[0].pk))
    return _panel(request, project, form, "Import from CleverTap", "Import", _list_url(project))


@project_page(Role.ADMIN)
def source_edit(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """The same panel for a source that exists."""
    source = _source(project, pk)
    present = spec_of(source)
    initial = {**asdict(present), "events": "\n".join(source.events)}
    form = SourceForm(request.POST or None, source=source, initial=initial)
    close_url = _url("source-view", project, pk)

    def edit() -> None:
        try:
            spec = replace(present, **form.cleaned_data)
            actions.edit_source(source=source, spec=spec, by=actor_of(request), now=timezone.now())
        except Refused as refused:
            form.add_error(None, str(refused))

    if request.method == "POST" and accepts(form, edit) and form.is_valid():
        messages.success(request, f"{source} has been updated")
        return go_to(request, close_url)
    return _panel(request, project, form, f"Edit {source}", "Save", close_url)


def _panel(
    request: ProjectRequest, project: Project, form: SourceForm, title: str, button: str, close_url: str
) -> HttpResponse:
    context = {
        "form": form,
        "title": title,
        "button": button,
        "url": request.path,
        "close_url": close_url,
        "project": project,
    }
    status = 422 if form.errors else 200
    return render_for(
        request, context, page="sources/source_page.html", part="sources/source_panel.html", status=status
    )


@project_page(Role.ADMIN)
def source_stop(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then read nothing more."""
    text = "Nothing more is read, and the portal forgets the passcode. What was captured stays."
    return _ask(request, project, pk, "Stop", text, actions.stop_source, "has been stopped")


@project_page(Role.ADMIN)
def source_again(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then read all days once more."""
    text = "All days are read once more. Events that were captured are known and stay single; only new ones come in."
    return _ask(request, project, pk, "Read again", text, actions.read_again, "is read again")


@project_page(Role.ADMIN)
def source_retry(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then go on at once."""
    text = "The portal asks CleverTap again at once, and goes on where it was."
    return _ask(request, project, pk, "Retry now", text, actions.retry_source, "goes on")


def _ask(
    request: ProjectRequest,
    project: Project,
    pk: int,
    button: str,
    text: str,
    act: Callable[..., None],
    said: str,
) -> HttpResponse:
    source, refused = _source(project, pk), ""
    close_url = _url("source-view", project, pk)
    if request.method == "POST":
        try:
            act(source=source, by=actor_of(request), now=timezone.now())
        except Refused as error:
            refused = str(error)
        else:
            messages.success(request, f"{source} {said}")
            return go_to(request, close_url)
    context = {
        "title": f"{button}: {source}?",
        "text": text,
        "button": button,
        "url": request.path,
        "close_url": close_url,
        "refused": refused,
        "project": project,
    }
    status = 422 if refused else 200
    return render_for(request, context, page="sources/confirm_page.html", part="components/confirm.html", status=status)


def _source(project: Project, pk: int) -> Any:
    return get_object_or_404(Source.objects.filter(project=project), pk=pk)


def _url(name: str, project: Project, pk: int) -> str:
    return reverse(f"sources:{name}", args=[project.account_id, pk])


def _list_url(project: Project) -> str:
    return reverse("sources:source-list", args=[project.account_id])
