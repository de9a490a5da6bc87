"""What the admin pages of all apps share: read-only rows, links between them, no counting of big tables, audit."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exports_portal.common import audit
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Refused
from exports_portal.common.files import csv_file
from exports_portal.common.models import AuditEntry

OURS = ("projects", "partners", "notifications", "sources", "exports", "events")


def link(row: Model | None, text: str = "") -> SafeString | str:
    """A link to the admin page of a row; a dash when there is none."""
    if row is None:
        return "–"
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[row.pk]), text or str(row))


def list_link(model: type[Model], text: str, **where: Any) -> SafeString:
    """A link to the admin list of a model, filtered by exact values."""
    query = {f"{name}__exact": value for name, value in where.items()}
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    return format_html('<a href="{}">{}</a>', reverse(name, query=query), text)


def pretty(value: Any) -> SafeString:
    """JSON as people read it."""
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))


def each(request: HttpRequest, rows: Iterable[Any], verb: Callable[[Any, Actor], str]) -> None:
    """Call a verb for each chosen row and tell what became of it: what `verb` answers, or why it was refused."""
    by = audit.actor_of(request)
    for row in rows:
        try:
            said = verb(row, by)
        except (Refused, PermissionDenied) as refusal:
            messages.error(request, f"“{row}”: {refusal}")
        else:
            messages.success(request, said)


class BoundedPaginator(Paginator):
    """Counts at most LIMIT rows, so that a list of a log with millions of rows opens at once."""

    LIMIT = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return rows.order_by()[: self.LIMIT].count()


class PortalAdmin(admin.ModelAdmin):
    """Fifty rows a page and no count of the whole table."""

    show_full_result_count = False
    list_per_page = 50


class VerbAdmin(PortalAdmin):
    """Rows that verbs save. What a verb refuses is told on the same page, and nothing is saved."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().delete_view, *args, **kwargs)

    def _told(self, request: HttpRequest, view: Callable[..., HttpResponse], *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (Refused, PermissionDenied) as refusal:
            if request.method != "POST" or not str(refusal):  # Django's own: no right to this page
                raise
            messages.error(request, str(refusal))
            return redirect(request.path)


class ReadOnlyAdmin(PortalAdmin):
    """Rows that only the portal's verbs write. Staff with the right to view them see them."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LongListAdmin(ReadOnlyAdmin):
    """A table that may have millions of rows: never counted in full."""

    paginator = BoundedPaginator


class BigTableAdmin(LongListAdmin):
    """One that is found by its ids, newest first."""

    ordering = ("-id",)
    search_fields = ("id",)
    search_help_text = "The id of a row."
    id_columns: tuple[str, ...] = ("id",)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        """Only ids are looked up: they have an index, texts have none."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if not text.isascii() or not text.isdigit():
            return queryset.none(), False
        found = queryset.none()
        for column in self.id_columns:
            found = found | queryset.filter(**{column: int(text)})
        return found, False


@admin.register(AuditEntry)
class AuditEntryAdmin(LongListAdmin):
    """Who did what, when. Nobody can change it, the database refuses."""

    list_display = ("at", "actor", "address", "action", "target", "project")
    list_filter = ("at",)
    search_fields = ("actor", "action", "target_type")
    ordering = ("-id",)
    fields = ("at", "actor", "address", "action", "target", "project", "was", "became")
    readonly_fields = fields
    actions = ("download",)

    @admin.action(description="Download as CSV", permissions=["view"])
    def download(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> StreamingHttpResponse:
        return csv_file(audit.as_csv(queryset.order_by()), "audit")

    @admin.display(description="project")
    def project(self, entry: AuditEntry) -> SafeString | str:
        model = apps.get_model("projects", "Project")
        return link(model(pk=entry.project_id), f"project {entry.project_id}") if entry.project_id else "–"

    @admin.display(description="target")
    def target(self, entry: AuditEntry) -> SafeString | str:
        text = f"{entry.target_type} {entry.target_id}"
        for app in OURS:
            model = apps.all_models[app].get(entry.target_type)
            if model is not None and entry.target_id is not None:
                return link(model(pk=entry.target_id), text)
        return text

    @admin.display(description="before")
    def was(self, entry: AuditEntry) -> SafeString:
        return pretty(entry.before)

    @admin.display(description="after")
    def became(self, entry: AuditEntry) -> SafeString:
        return pretty(entry.after)
