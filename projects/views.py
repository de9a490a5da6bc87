"""Pages of the project itself: start, settings with credentials."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from exports_portal.common.audit import actor_of
from exports_portal.common.forms import accepts
from exports_portal.common.htmx import go_to, render_for
from projects import access, actions, credentials
from projects.forms import CredentialForm, ProjectForm
from projects.models import Credential, Project, Role
from projects.pages import ProjectRequest, project_page
from projects.retention import retention_of


def home(request: HttpRequest) -> HttpResponse:
    """The first project's exports; a page that says what to do when the user has none."""
    project = access.projects_of(request.user).first()
    if project is None:
        return render(request, "projects/home.html")
    return redirect("exports:export-list", project.account_id)


@project_page()
def project_edit(request: ProjectRequest, project: Project) -> HttpResponse:
    """Name and time zone for admins to change, and the credentials of programs."""
    if request.method == "POST":
        access.require(actor_of(request), project, Role.ADMIN)
    zone = project.timezone
    before = {"name": project.name, "timezone": zone, **retention_of(project).as_fields()}
    form = ProjectForm(request.POST or None, initial=before)
    if request.method == "POST" and accepts(form, lambda: _save(request, project, form)):
        messages.success(request, _saved(project, zone))
        return redirect("projects:project-edit", project.account_id)
    rows = project.credentials.select_related("created_by").order_by("revoked_at", "-pk")
    context = {"form": form, "credentials": rows, "is_admin": request.role == Role.ADMIN, "project": project}
    return render(request, "projects/project_edit.html", context, status=422 if form.errors else 200)


def _saved(project: Project, zone: str) -> str:
    if project.timezone == zone:
        return "Project settings saved"
    return (
        f"Project settings saved. Days and recurring exports follow {project.timezone} from now on, in place of "
        f"{zone}; runs that exist keep their windows."
    )


def _save(request: ProjectRequest, project: Project, form: ProjectForm) -> None:
    by = actor_of(request)
    values = {name: form.cleaned_data[name] for name in ("name", "timezone")}
    keeps = form.cleaned_retention()
    actions.edit_project(project=project, **values, retention=keeps, by=by, now=timezone.now())


@project_page(Role.ADMIN)
def credential_new(request: ProjectRequest, project: Project) -> HttpResponse:
    """Create a credential; its plain value stands in this one answer and nowhere else."""
    form = CredentialForm(request.POST or None)
    made: list[tuple[Credential, str]] = []

    def create() -> None:
        by = actor_of(request)
        data = {**form.cleaned_data, "access": form.cleaned_data["access"] or Credential.Access.FULL}
        made.append(credentials.create_credential(project=project, **data, by=by, now=timezone.now()))

    accepted = request.method == "POST" and accepts(form, create)
    told, value = (_created(made[0][0]), made[0][1]) if accepted else ("", "")
    context = {"form": form, "told": told, "value": value, "project": project}
    status = 422 if form.errors else 200
    return render_for(
        request, context, page="projects/credential_page.html", part="projects/credential_panel.html", status=status
    )


def _created(credential: Credential) -> str:
    name = f" “{credential.label}”" if credential.label else ""
    return f"{credential.get_kind_display()}{name} has been created."


@project_page(Role.ADMIN)
def credential_revoke(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then refuse the credential from now on."""
    credential = get_object_or_404(project.credentials, pk=pk)
    settings_url = reverse("projects:project-edit", args=[project.account_id])
    if request.method == "POST":
        credentials.revoke_credential(credential=credential, by=actor_of(request), now=timezone.now())
        messages.success(request, f"{credential} has been revoked")
        return go_to(request, settings_url)
    context = {
        "title": f"Revoke {credential.get_kind_display().lower()}?",
        "text": f"Programs that use {credential} are refused from now on. This cannot be undone.",
        "button": "Revoke",
        "url": request.path,
        "close_url": settings_url,
        "refused": "",
        "project": project,
    }
    return render_for(request, context, page="projects/confirm_page.html", part="components/confirm.html")
