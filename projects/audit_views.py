"""Settings > Project > Audit log: who did what, when, from where, and from what to what."""

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from exports_portal.common import audit, audit_log
from exports_portal.common.audit_log import FILTERS, AuditFilter, Line
from exports_portal.common.files import csv_file
from exports_portal.common.filters import Chip, changed, days_in_words
from exports_portal.common.htmx import render_for
from projects.models import Project, Role
from projects.pages import ProjectRequest, project_page

PAGE_ENTRIES = 40
PAGES_OF_TARGETS = {
    "export": "exports:export-view",
    "eventname": "events:schema-name",
    "source": "sources:source-view",
}


@require_GET
@project_page(Role.ADMIN)
def audit_list(request: ProjectRequest, project: Project) -> HttpResponse:
    """The entries, newest first, by person, action and day."""
    found = AuditFilter(request.GET, project=project)
    page = audit_log.page(found.qs, cursor=request.GET.get("cursor", ""), size=PAGE_ENTRIES)
    actions = [(action, audit_log.act_in_words(action)) for action in audit_log.known(project.pk, "action")]
    context = {
        "lines": [(line, _target_url(project, line)) for line in map(Line, page.entries)],
        "older": page.older,
        "is_first": "cursor" not in request.GET,
        "actors": audit_log.known(project.pk, "actor"),
        "actions": sorted(actions, key=lambda pair: pair[1]),
        "given": {name: request.GET.get(name, "") for name in FILTERS},
        "problems": [text for texts in found.errors.values() for text in texts],
        "chips": _chips(request, found.form.cleaned_data),
        "query": changed(request.GET, "cursor").urlencode(),
        "path": request.path,
        "project": project,
    }
    return render_for(request, context, page="projects/audit_list.html", part="projects/audit_entries.html")


@require_GET
@project_page(Role.ADMIN)
def audit_csv(request: ProjectRequest, project: Project) -> StreamingHttpResponse:
    """The same entries as a file, oldest first."""
    return csv_file(audit.as_csv(AuditFilter(request.GET, project=project).qs), "audit")


def _target_url(project: Project, line: Line) -> str:
    name = PAGES_OF_TARGETS.get(line.entry.target_type)
    return reverse(name, args=[project.account_id, line.entry.target_id]) if name else ""


def _chips(request: ProjectRequest, cleaned: dict[str, Any]) -> list[Chip]:
    days = days_in_words(cleaned.get("at_after"), cleaned.get("at_before"))
    action = cleaned.get("action") and audit_log.act_in_words(cleaned["action"])
    set_filters = (("Who", cleaned.get("actor"), ["actor"]), ("What", action, ["action"]), ("When", days, FILTERS[2:]))
    return [
        Chip(f"{label}: {text}", changed(request.GET, "cursor", *names).urlencode())
        for label, text, names in set_filters
        if text
    ]
