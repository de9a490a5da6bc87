"""Settings > Notifications: what the project was told, what it wants to hear of, and where it goes."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from exports_portal.common.audit import actor_of
from exports_portal.common.errors import Refused
from exports_portal.common.forms import accepts
from exports_portal.common.htmx import go_to, render_for
from exports_portal.common.methods import post_only
from notifications import actions
from notifications.forms import PreferencesForm, WebhookForm
from notifications.models import Notification, Preferences
from projects import access
from projects.models import Project, Role
from projects.pages import ProjectRequest, project_page

SHOWN = 50


def address(project: Project) -> str:
    return reverse("notifications:notification-list", args=[project.account_id])


@project_page()
def notification_list(request: ProjectRequest, project: Project) -> HttpResponse:
    """The latest notifications with what became of their mails and calls; admins say below what they want."""
    if request.method == "POST":
        access.require(actor_of(request), project, Role.ADMIN)
    preferences = actions.preferences_of(project)
    form = PreferencesForm(request.POST or None, initial=_initial(preferences))
    if request.method == "POST" and accepts(form, lambda: _save(request, project, form)):
        messages.success(request, "Notification settings saved")
        return redirect(address(project))
    rows = Notification.objects.filter(project=project).prefetch_related("dispatches").order_by("-pk")[:SHOWN]
    context = {
        "form": form,
        "notifications": list(rows),
        "preferences": preferences,
        "is_admin": request.role == Role.ADMIN,
        "project": project,
    }
    actions.mark_seen(project=project, user=request.user)  # type: ignore[arg-type]
    return render(request, "notifications/notification_list.html", context, status=422 if form.errors else 200)


def _initial(preferences: Preferences) -> dict[str, Any]:
    return {name: getattr(preferences, name) for name in PreferencesForm.base_fields}


def _save(request: HttpRequest, project: Project, form: PreferencesForm) -> None:
    actions.save_preferences(project=project, **form.cleaned_data, by=actor_of(request), now=timezone.now())


@project_page(Role.ADMIN)
def webhook_edit(request: ProjectRequest, project: Project) -> HttpResponse:
    """Set the address; the secret stands in this one answer and nowhere else."""
    form = WebhookForm(request.POST or None)
    made: list[str] = []

    def save() -> None:
        url, by = form.cleaned_data["url"], actor_of(request)
        made.append(actions.set_webhook(project=project, url=url, by=by, now=timezone.now()))

    accepted = request.method == "POST" and accepts(form, save)
    context = {"form": form, "secret": made[0] if accepted else "", "project": project}
    return render_for(
        request,
        context,
        page="notifications/webhook_page.html",
        part="notifications/webhook_panel.html",
        status=422 if form.errors else 200,
    )


@project_page(Role.ADMIN)
def webhook_remove(request: ProjectRequest, project: Project) -> HttpResponse:
    """Ask, then call nobody any more."""
    if request.method == "POST":
        actions.remove_webhook(project=project, by=actor_of(request), now=timezone.now())
        messages.success(request, "The webhook has been removed")
        return go_to(request, address(project))
    host = actions.preferences_of(project).webhook_host
    context = {
        "title": "Remove the webhook?",
        "text": f"{host or 'Nobody'} is called no more, and its secret is forgotten. Mails go on.",
        "button": "Remove",
        "url": request.path,
        "close_url": address(project),
        "refused": "",
        "project": project,
    }
    return render_for(request, context, page="notifications/confirm_page.html", part="components/confirm.html")


@post_only
@project_page(Role.ADMIN)
def notification_test(request: ProjectRequest, project: Project) -> HttpResponse:
    """Send a test to everybody that the project named."""
    try:
        actions.send_test(project=project, by=actor_of(request), now=timezone.now())
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, "A test is on its way; this page shows what becomes of it")
    return redirect(address(project))
