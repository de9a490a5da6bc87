"""Admin: sources and what they read. The passcode is on no page."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from exports_portal.common.admin import BigTableAdmin, ReadOnlyAdmin, list_link
from sources.models import Imported, Pull, Source


@admin.register(Source)
class SourceAdmin(ReadOnlyAdmin):
    list_display = ("account_id", "region", "project", "date_from", "date_to", "fault", "stopped_at")
    list_filter = ("region", "project")
    search_fields = ("account_id", "project__name", "project__account_id")
    list_select_related = ("project",)
    fields = (
        "project",
        "account_id",
        "passcode_hint",
        "region",
        "timezone",
        "events",
        "date_from",
        "date_to",
        "planned_to",
        "created_at",
        "created_by",
        "stopped_at",
        "fault",
        "last_error",
        "failures",
        "not_before",
        "lease_until",
        "fence",
        "pulls",
    )
    readonly_fields = fields

    @admin.display(description="pulls")
    def pulls(self, source: Source) -> SafeString:
        return list_link(Pull, "pulls", source__id=source.pk)


@admin.register(Pull)
class PullAdmin(BigTableAdmin):
    list_display = ("id", "name", "day", "state", "read", "captured", "known", "refused", "source")
    list_filter = ("state", "source")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pull]:
        """Without the passcode, whose key may be gone."""
        return super().get_queryset(request).select_related("source").defer("source__passcode")


@admin.register(Imported)
class ImportedAdmin(BigTableAdmin):
    list_display = ("fingerprint", "captured", "met", "project")
    list_select_related = ("project",)
