"""Admin: exports and what became of them. Status and counts are the portal's own; the actions call the verbs."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exports import actions
from exports.models import Alert, Export, Held, PurgedRuns, PurgeMark, Rejected, Run, Shard, Skipped, Total
from exports.models.counting import COUNTS, TALLIES
from exports.models.purged import KEPT_COUNTS
from exports.spec import WRITABLE
from exports_portal.common.admin import BigTableAdmin, LongListAdmin, ReadOnlyAdmin, each, link, list_link, pretty
from exports_portal.common.audit import Actor
from exports_portal.common.models import AuditEntry
from projects.models import User


def _count(name: str) -> Any:
    @admin.display(description=name.replace("_", " "))
    def column(row: Any) -> int:
        return getattr(row, name) or 0

    return column


@admin.register(Export)
class ExportAdmin(LongListAdmin):
    list_display = (
        "label",
        "project_link",
        "integration_link",
        "type",
        "frequency",
        "status",
        "needs_attention",
        *map(_count, ("delivered", "rejected", "held")),
        "exported_on",
        "next_run_at",
    )
    list_filter = ("status", "needs_attention", "frequency", "type", "integration__partner", "project")
    search_fields = ("name", "integration__nickname", "project__name", "project__account_id")
    list_select_related = ("project", "integration")
    ordering = ("-exported_on", "-id")
    readonly_fields = (
        "project_link",
        "integration_link",
        *WRITABLE,
        "status",
        "stop_reason",
        "stopped_by",
        "needs_attention",
        "last_error",
        *map(_count, TALLIES),
        "runs",
        "audit_log",
        "page",
        "next_run_at",
        "captured_from",
        "next_tx_id",
        "exported_on",
        "version",
        "created_at",
        "created_by",
        "updated_at",
    )
    fields = readonly_fields
    actions = ("stop", "retry", "run_now")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Export]:
        return Export.objects.select_related("project", "integration").defer("integration__secrets").with_counts()

    @admin.display(description="project", ordering="project__name")
    def project_link(self, export: Export) -> SafeString | str:
        return link(export.project)

    @admin.display(description="integration", ordering="integration__nickname")
    def integration_link(self, export: Export) -> SafeString | str:
        return link(export.integration)

    @admin.display(description="audit log")
    def audit_log(self, export: Export) -> SafeString:
        return list_link(AuditEntry, "audit entries", target_type="export", target_id=export.pk)

    @admin.display(description="page")
    def page(self, export: Export) -> SafeString:
        url = reverse("exports:export-view", args=[export.project.account_id, export.pk])
        return format_html('<a href="{}">View</a>', url)

    @admin.display(description="runs")
    def runs(self, export: Export) -> SafeString:
        return list_link(Run, "runs", export__id=export.pk)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("exports.change_export")

    @admin.action(description="Stop", permissions=["operate"])
    def stop(self, request: HttpRequest, queryset: QuerySet[Export]) -> None:
        user = request.user if isinstance(request.user, User) else None

        def act(export: Export, by: Actor) -> str:
            actions.stop_export(export=export, by=by, now=timezone.now(), user=user)
            return f"“{export}” has been stopped."

        each(request, queryset, act)

    @admin.action(description="Retry now", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Export]) -> None:
        def act(export: Export, by: Actor) -> str:
            actions.retry_export(export=export, by=by, now=timezone.now())
            return f"“{export}” has been asked to retry."

        each(request, queryset, act)

    @admin.action(description="Run now", permissions=["operate"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Export]) -> None:
        def act(export: Export, by: Actor) -> str:
            run = actions.run_now(export=export, by=by, now=timezone.now())
            return f"Run {run.sequence} of “{export}” has been started."

        each(request, queryset, act)


@admin.register(Run)
class RunAdmin(LongListAdmin):
    list_display = (
        "id",
        "export_link",
        "sequence",
        "status",
        "window_start",
        "window_end",
        *map(_count, COUNTS),
        "started_at",
        "finished_at",
    )
    list_filter = ("status", "axis", "export__project")
    search_fields = ("export__name", "export__integration__nickname")
    list_select_related = ("export__integration",)
    ordering = ("-id",)
    readonly_fields: ClassVar[Any] = (
        "export_link",
        "integration_link",
        "sequence",
        "status",
        "axis",
        "window_start",
        "window_end",
        "from_tx_id",
        "until_tx_id",
        "shown_settings",
        "estimate",
        "reading",
        *map(_count, (*TALLIES, "takeovers", "altered")),
        "shards",
        "rejected_records",
        "skipped_records",
        "created_at",
        "started_at",
        "finished_at",
        "last_error",
    )
    fields = readonly_fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        rows = Run.objects.select_related("export__integration", "integration")
        rows = rows.defer("export__integration__secrets", "integration__secrets")
        return rows.with_counts()

    @admin.display(description="export")
    def export_link(self, run: Run) -> SafeString | str:
        return link(run.export)

    @admin.display(description="integration")
    def integration_link(self, run: Run) -> SafeString | str:
        return link(run.integration)

    @admin.display(description="settings")
    def shown_settings(self, run: Run) -> SafeString:
        return pretty(run.settings)

    @admin.display(description="shards")
    def shards(self, run: Run) -> SafeString:
        return list_link(Shard, "shards", run__id=run.pk)

    @admin.display(description="rejected records")
    def rejected_records(self, run: Run) -> SafeString:
        return list_link(Rejected, "rejected records", run__id=run.pk)

    @admin.display(description="skipped records")
    def skipped_records(self, run: Run) -> SafeString:
        return list_link(Skipped, "skipped records", run__id=run.pk)


class OfRun(BigTableAdmin):
    """Rows that belong to a run."""

    id_columns: tuple[str, ...] = ("id", "run_id")
    search_help_text = "The id of a row, or of its run."
    list_filter: ClassVar[Any] = ("run__export__project",)

    @admin.display(description="run")
    def run_link(self, row: Any) -> SafeString | str:
        return link(row.run)


@admin.register(Shard)
class ShardAdmin(OfRun):
    list_display = ("id", "run_link", "index", "of", "open", "reading", *COUNTS, "failures", "takeovers", "lease_until")
    list_filter = ("open", "reading", *OfRun.list_filter)
    list_select_related = ("run",)


@admin.register(Rejected)
class RejectedAdmin(OfRun):
    list_display = ("id", "run_link", "record_id", "reason", "field", "message", "attempts", "created_at")
    list_select_related = ("run",)
    id_columns: tuple[str, ...] = ("id", "run_id", "record_id")
    search_help_text = "The id of a row, of its run, or of the record in the event log."


@admin.register(Held)
class HeldAdmin(BigTableAdmin):
    list_display = ("id", "export_link", "record_id", "not_before", "message")
    list_filter = ("export__project",)
    id_columns = ("id", "record_id")
    search_help_text = "The id of a row, or of the record in the event log."
    list_select_related = ("export__integration",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Held]:
        return super().get_queryset(request).defer("export__integration__secrets")

    @admin.display(description="export")
    def export_link(self, row: Held) -> SafeString | str:
        return link(row.export)


@admin.register(Skipped)
class SkippedAdmin(OfRun):
    list_display = ("id", "run_link", "record_id", "reason")
    list_select_related = ("run",)


@admin.register(Total)
class TotalAdmin(ReadOnlyAdmin):
    list_display = ("id", *COUNTS, "unconfirmed", "runs_done", "runs_stopped")


@admin.register(Alert)
class AlertAdmin(BigTableAdmin):
    list_display = ("id", "export_link", "kind", "message", "since", "notified_at", "resolved_at")
    list_filter = ("kind",)
    list_select_related = ("export__integration",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return super().get_queryset(request).defer("export__integration__secrets")

    @admin.display(description="export")
    def export_link(self, row: Alert) -> SafeString | str:
        return link(row.export)


@admin.register(PurgedRuns)
class PurgedRunsAdmin(LongListAdmin):
    list_display = ("export_link", "runs", *KEPT_COUNTS)
    list_select_related = ("export__integration",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PurgedRuns]:
        return super().get_queryset(request).defer("export__integration__secrets")

    @admin.display(description="export")
    def export_link(self, row: PurgedRuns) -> SafeString | str:
        return link(row.export)


@admin.register(PurgeMark)
class PurgeMarkAdmin(ReadOnlyAdmin):
    list_display = ("project", "kind", "finished_at", "run_id")
    list_select_related = ("project",)
