"""Settings > Partners > Partner List, and the panel Integrate."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from exports_portal.common.audit import actor_of
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.forms import accepts, add_errors
from exports_portal.common.htmx import go_to, render_for
from partners import actions
from partners.cards import cards
from partners.contract import Adapter, TestReport
from partners.forms import IntegrationForm
from partners.models import Integration
from partners.registry import all_adapters
from partners.tested import proof
from projects.models import Project, Role
from projects.pages import ProjectRequest, is_admin, project_page


@project_page()
def partner_list(request: ProjectRequest, project: Project) -> HttpResponse:
    """A card per partner with its integrations."""
    search = request.GET.get("search", "").strip()
    found = cards(project, search=search, now=timezone.now())
    categories = sorted({adapter.category for adapter in all_adapters().values()})
    context = {"cards": found, "categories": categories, "search": search}
    context |= {"may_edit": is_admin(request), "project": project}
    return render(request, "partners/partner_list.html", context)


@project_page(Role.ADMIN)
def integration_new(request: ProjectRequest, project: Project, partner: str) -> HttpResponse:
    """The panel Integrate <Partner>: test the connection, or integrate."""
    adapter = _adapter(partner)
    form = IntegrationForm(request.POST or None, adapter=adapter)
    next_step = reverse("exports:export-new", args=[project.account_id, partner])
    said = format_html('{} has been integrated as “{{}}” <a href="{}">Create export</a>', adapter.label, next_step)
    return _test_or_save(request, project, form, partial(_create, request, project, form), said, integration=None)


@project_page(Role.ADMIN)
def integration_edit(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """The same panel for an integration that exists."""
    integration = get_object_or_404(project.integrations.connected().defer("secrets"), pk=pk)
    form = IntegrationForm(request.POST or None, adapter=integration.adapter, integration=integration)
    save = partial(_edit, request, integration, form)
    return _test_or_save(request, project, form, save, "“{}” has been updated", integration=integration)


@project_page(Role.ADMIN)
def integration_disconnect(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then forget the integration's key. While exports are active there is the reason instead of a button."""
    integration = get_object_or_404(project.integrations.connected().defer("secrets"), pk=pk)
    refused = actions.why_needed(integration)
    if request.method == "POST":
        try:
            actions.disconnect(integration=integration, by=actor_of(request), now=timezone.now())
        except Refused as error:
            refused = str(error)
        else:
            messages.success(request, f"“{integration.nickname}” has been disconnected")
            return go_to(request, _list_url(project))
    context = {
        "title": f"Disconnect “{integration.nickname}”?",
        "text": "The portal forgets its API key. What has been exported stays in the lists and at the partner.",
        "button": "" if refused else "Disconnect",
        "url": request.path,
        "close_url": _list_url(project),
        "refused": refused,
        "project": project,
    }
    status = 422 if refused and request.method == "POST" else 200
    return render_for(
        request, context, page="partners/confirm_page.html", part="components/confirm.html", status=status
    )


def _test_or_save(
    request: ProjectRequest,
    project: Project,
    form: IntegrationForm,
    save: Callable[[], Any],
    said: str,
    *,
    integration: Integration | None,
) -> HttpResponse:
    """What the panel's two buttons do; the panel again unless it was saved."""
    report = None
    if "test" in request.POST:
        report = _test(request, form, integration=integration)
    elif request.method == "POST" and accepts(form, save):
        messages.success(request, format_html(said, form.cleaned_data["nickname"].strip()))
        return go_to(request, _list_url(project))
    return _panel(request, project, form, report, integration=integration)


def _panel(
    request: ProjectRequest,
    project: Project,
    form: IntegrationForm,
    report: TestReport | None,
    *,
    integration: Integration | None,
) -> HttpResponse:
    adapter = form.adapter
    context: dict[str, Any] = {
        "form": form,
        "report": report,
        "tested": proof(form.values(), report, now=timezone.now()) if report else request.POST.get("tested", ""),
        "adapter": adapter,
        "integration": integration,
        "project": project,
        "title": f"Integrate {adapter.label}" if integration is None else f"Edit “{integration.nickname}”",
        "button": "Integrate" if integration is None else "Save",
        "url": request.path,
        "close_url": _list_url(project),
    }
    status = 422 if form.errors else 200
    part = "partners/integration_panel.html"
    return render_for(request, context, page="partners/integration_page.html", part=part, status=status)


def _test(request: ProjectRequest, form: IntegrationForm, *, integration: Integration | None) -> TestReport | None:
    """The report; None when the form says what is missing. What is saved is recorded on its card."""
    if not form.is_valid():
        return None
    values, by = form.values(), actor_of(request)
    try:
        if integration is not None and _unchanged(values, integration):
            return actions.test_integration(integration=integration, by=by, now=timezone.now())
        slug = form.adapter.slug
        return actions.test_values(project=request.project, partner=slug, values=values, by=by, kept=integration)
    except Invalid as error:
        add_errors(form, error)
        return None


def _unchanged(values: dict[str, str], integration: Integration) -> bool:
    return all(not value or integration.settings.get(name) == value for name, value in values.items())


def _create(request: ProjectRequest, project: Project, form: IntegrationForm) -> None:
    actions.create_integration(
        project=project,
        partner=form.adapter.slug,
        nickname=form.cleaned_data["nickname"],
        values=form.values(),
        by=actor_of(request),
        now=timezone.now(),
        tested=request.POST.get("tested", ""),
    )


def _edit(request: ProjectRequest, integration: Integration, form: IntegrationForm) -> None:
    actions.edit_integration(
        integration=integration,
        nickname=form.cleaned_data["nickname"],
        values=form.values(),
        by=actor_of(request),
        now=timezone.now(),
    )


def _adapter(partner: str) -> Adapter:
    if partner not in all_adapters():
        raise Http404("There is no such partner.")
    return all_adapters()[partner]


def _list_url(project: Project) -> str:
    return reverse("partners:partner-list", args=[project.account_id])
