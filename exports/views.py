"""Settings > Partners > Exports: the list, one export, and what can be done with it."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_GET

from exports import actions, again, panel, rejected
from exports.detail import PER_PAGE, Detail
from exports.filters import ExportFilter
from exports.listing import Filters, chosen_size, paged
from exports.models import Export, Frequency, Rejected
from exports.presenting import lines
from exports_portal.common.audit import actor_of
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.files import csv_file
from exports_portal.common.htmx import go_to, render_for
from exports_portal.common.methods import post_only
from partners.registry import all_adapters
from projects.models import Project
from projects.pages import EDITORS, ProjectRequest, is_admin, may_edit, project_page


@require_GET
@project_page()
def export_list(request: ProjectRequest, project: Project) -> HttpResponse:
    """The table with filters, chips and pages."""
    found = ExportFilter(request.GET, _exports(project).with_counts(), project=project)
    filters = Filters(found, request.GET)
    pages = paged(found.qs, request.GET, chosen_size(request.GET, request.user))  # type: ignore[arg-type]
    rows = lines(pages["page"], now=timezone.now(), may_edit=may_edit(request), user_id=request.user.pk)
    context = {
        **pages,
        "rows": rows,
        "moving": [line.export.pk for line in rows if line.export.is_active],
        "filters": filters,
        "adapters": list(all_adapters().values()),
        "has_integrations": project.integrations.connected().exists(),
        "may_edit": may_edit(request),
        "is_admin": is_admin(request),
        "project": project,
    }
    return render(request, "exports/export_list.html", context)


@require_GET
@project_page()
def export_rows(request: ProjectRequest, project: Project) -> HttpResponse:
    """The rows of the table that were active when they were last drawn, as they are now."""
    found = _exports(project).with_counts().filter(pk__in=rejected.ids_in(request.GET)[:40])
    rows = lines(found, now=timezone.now(), may_edit=may_edit(request), user_id=request.user.pk)
    moving = [line.export.pk for line in rows if line.export.is_active]
    return render(request, "exports/export_rows.html", {"rows": rows, "moving": moving, "project": project})


@require_GET
@project_page()
def export_view(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """One export: figures, chart, payload preview and tabs."""
    export = get_object_or_404(_exports(project).with_counts(), pk=pk)
    now = timezone.now()
    (line,) = lines([export], now=now, may_edit=may_edit(request), user_id=request.user.pk)
    detail = Detail(line, now=now, tab=request.GET.get("tab", "runs"), query=request.GET)
    context = {"export": export, "line": line, "detail": detail, "may_edit": may_edit(request), "project": project}
    return render_for(request, context, page="exports/export_view.html", part="exports/export_live.html")


@project_page(*EDITORS)
def export_new(request: ProjectRequest, project: Project, partner: str) -> HttpResponse:
    """The panel Export to <Partner>."""
    if partner not in all_adapters():
        raise Http404("There is no such partner.")
    form = panel.form_for(project, partner, request.POST or None, now=timezone.now())
    return _new(request, project, form, partner=partner, title="Create a new export", close_url=_list_url(project))


@project_page(*EDITORS)
def export_duplicate(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """The same panel, filled in as an export that is there."""
    old = get_object_or_404(_exports(project), pk=pk)
    partner, now = old.integration.partner, timezone.now()
    form = panel.form_for(project, partner, request.POST or None, now=now, like=again.copy_of(old, now=now))
    title = f"Duplicate of “{old.label}”"
    return _new(request, project, form, partner=partner, title=title, close_url=_back(request, old))


@project_page(*EDITORS)
def export_edit(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """The same panel for an export that can be edited."""
    export = get_object_or_404(_exports(project), pk=pk)
    if why_not := actions.why_not_editable(export):
        messages.error(request, why_not)
        return go_to(request, reverse("exports:export-view", args=[project.account_id, pk]))
    partner = export.integration.partner
    form = panel.form_for(project, partner, request.POST or None, now=timezone.now(), export=export)
    if _is_wanted(request) and panel.edit(form, export=export, by=actor_of(request), now=timezone.now()):
        applies = panel.APPLIES[form.cleaned_data["frequency"]]
        said = f"{export.integration.adapter.label} data export updated. {applies}"
        messages.success(request, _with_link(said, export))
        return go_to(request, _back(request, export))
    return _panel(request, project, form, partner=partner, title="Update the export", close_url=_back(request, export))


@project_page(*EDITORS)
def export_stop(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask "Stop export?", then stop; of an export that is over, the rejected records that wait to be sent again."""
    export = get_object_or_404(_exports(project), pk=pk)
    refused = ""
    of_records = not export.is_active and export.sends_again
    if request.method != "POST" and not export.is_active and not of_records:
        messages.info(request, f"This export is {export.status} already: there is nothing to stop.")
        return go_to(request, reverse("exports:export-view", args=[project.account_id, pk]))
    if request.method == "POST":
        try:
            actions.stop_export(export=export, by=actor_of(request), now=timezone.now(), user=request.user)  # type: ignore[arg-type]
        except Refused as error:
            refused = str(error)
        else:
            stopped = f"{export.integration.adapter.label} data export stopped"
            said = "The rejected records are not sent again" if of_records else stopped
            messages.success(request, _with_link(said, export))
            return go_to(request, _back(request, export))
    context = {
        "title": "Send no rejected records again?" if of_records else "Stop export?",
        "text": _what_stops(export),
        "button": "Do not send them again" if of_records else "Stop",
        "url": request.path,
        "close_url": _back(request, export),
        "refused": refused,
        "project": project,
    }
    status = 422 if refused else 200
    return render_for(request, context, page="exports/confirm_page.html", part="components/confirm.html", status=status)


def _what_stops(export: Export) -> str:
    if not export.is_active:
        return f"Rejected records of “{export.label}” wait to be sent again. They will not be, and stay listed."
    again = ", but a new export can continue from where it stopped."
    if export.frequency == Frequency.ONE_TIME:
        again = "; a duplicate begins anew."
    return f"“{export.label}” stops at once. What has been accepted stays accepted. It cannot be started again{again}"


@post_only
@project_page(*EDITORS)
def export_retry(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Retry now."""
    return _act(request, project, pk, actions.retry_export, "Trying again now")


@post_only
@project_page(*EDITORS)
def export_run_now(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Run now."""
    return _act(request, project, pk, actions.run_now, "A run has been started")


@post_only
@project_page(*EDITORS)
def export_continue(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Continue from where it stopped, as a new export; what is refused is said on the old one."""
    old = get_object_or_404(_exports(project), pk=pk)
    try:
        consent = request.POST.get("consent") == "yes"
        new = again.continue_export(export=old, consent=consent, by=actor_of(request), now=timezone.now())
    except rejected.ConsentNeeded as error:
        messages.error(request, str(error))
        return redirect(f"{reverse('exports:export-view', args=[project.account_id, pk])}?consent=continue")
    except (Invalid, Refused) as error:
        messages.error(request, error.sentence if isinstance(error, Invalid) else str(error))
        return redirect("exports:export-view", project.account_id, pk)
    messages.success(request, f"{new.integration.adapter.label} data export initiated as “{new.label}”")
    return redirect("exports:export-view", project.account_id, new.pk)


@require_GET
@project_page()
def rejected_csv(request: ProjectRequest, project: Project, pk: int) -> StreamingHttpResponse:
    """The rejected records of an export, of one reason or all, as a file."""
    export = get_object_or_404(_exports(project), pk=pk)
    rows = Rejected.objects.filter(run__export=export)
    reason = rejected.clean_reason(request.GET.get("reason", ""))
    return csv_file(rejected.as_csv(rows.filter(reason=reason) if reason else rows), f"rejected-export-{pk}")


@post_only
@project_page(*EDITORS)
def rejected_resend(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Send rejected records again: the chosen ones, or all of a reason. Its own query is that of the page it is on."""
    export = get_object_or_404(_exports(project), pk=pk)
    back = request.GET.copy()
    back["tab"] = "rejected"
    try:
        queued = rejected.resend(
            export=export,
            **rejected.chosen_in(request.POST),
            by=actor_of(request),
            now=timezone.now(),
        )
        messages.success(request, f"{queued:,} {'record is' if queued == 1 else 'records are'} being sent again")
    except Invalid as error:
        messages.error(request, error.sentence)
    except rejected.ConsentNeeded as error:
        messages.error(request, str(error))
        back["consent"] = "asked"
        back.setlist("id", map(str, rejected.ids_in(request.POST)[:PER_PAGE]))  # more are not on a page
    except Refused as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('exports:export-view', args=[project.account_id, pk])}?{back.urlencode()}")


def _act(request: ProjectRequest, project: Project, pk: int, verb: Callable[..., Any], message: str) -> HttpResponse:
    export = get_object_or_404(_exports(project), pk=pk)
    try:
        verb(export=export, by=actor_of(request), now=timezone.now())
        messages.success(request, message)
    except Refused as error:
        messages.error(request, str(error))
    return redirect("exports:export-view", project.account_id, pk)


def _new(
    request: ProjectRequest, project: Project, form: panel.ExportForm, *, partner: str, title: str, close_url: str
) -> HttpResponse:
    """The panel for a new export, and what becomes of it."""
    if _is_wanted(request):
        export = panel.create(form, project=project, by=actor_of(request), now=timezone.now())
        if export is not None:
            messages.success(request, _with_link(f"{all_adapters()[partner].label} data export initiated", export))
            return go_to(request, _list_url(project))
    return _panel(request, project, form, partner=partner, title=title, close_url=close_url)


def _panel(
    request: ProjectRequest, project: Project, form: panel.ExportForm, *, partner: str, title: str, close_url: str
) -> HttpResponse:
    context = {
        "form": form,
        "title": title,
        "sent": panel.what_will_be_sent(form, project=project, now=timezone.now()),
        "applies": panel.APPLIES.items(),
        "unfolded": request.POST.get("preview") == "unfolded",
        "adapter": all_adapters()[partner],
        "partners_url": reverse("partners:partner-list", args=[project.account_id]),
        "close_url": close_url,
        "url": request.path,
        "project": project,
    }
    asks_for_estimate = request.method == "POST" and not _is_wanted(request)
    part = "exports/sent.html" if asks_for_estimate else "exports/export_panel.html"
    status = 422 if _is_wanted(request) else 200
    return render_for(request, context, page="exports/export_page.html", part=part, status=status)


def _with_link(said: str, export: Export) -> str:
    """A message that leads to what it speaks of."""
    link = reverse("exports:export-view", args=[export.project.account_id, export.pk])
    return format_html('{} <a href="{}">View export</a>', said, link)


def _is_wanted(request: ProjectRequest) -> bool:
    """The form was sent to be carried out, be it by its button or the Enter key, and not for a preview."""
    return "export" in request.POST and "preview" not in request.POST


def _exports(project: Project) -> Any:
    rows = Export.objects.filter(project=project).select_related("integration", "project", "stopped_by")
    return rows.defer("integration__secrets")


def _list_url(project: Project) -> str:
    return reverse("exports:export-list", args=[project.account_id])


def _back(request: ProjectRequest, export: Export) -> str:
    """Where a panel was opened, with the filters or the tab chosen there: the list or the export's own page."""
    came = request.POST.get("next") or request.headers.get("Referer", "")
    came = came.removeprefix(f"{request.scheme}://{request.get_host()}")
    list_url = _list_url(request.project)
    view_url = reverse("exports:export-view", args=[request.project.account_id, export.pk])
    return came if came.partition("?")[0] in (list_url, view_url) else list_url
