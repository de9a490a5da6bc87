"""Admin: integrations. Their secrets are never read here; people change them on the Partner List."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from exports_portal.common.admin import ReadOnlyAdmin, link, list_link, pretty
from partners.models import Integration


@admin.register(Integration)
class IntegrationAdmin(ReadOnlyAdmin):
    list_display = ("nickname", "partner", "residency_label", "masked_key", "project_link", "test_ok", "setup_fault")
    list_filter = ("partner", "test_ok", ("disconnected_at", admin.EmptyFieldListFilter), "project")
    search_fields = ("nickname", "key_hint", "project__name", "project__account_id")
    list_select_related = ("project",)
    ordering = ("-id",)
    readonly_fields = (
        "project_link",
        "partner",
        "nickname",
        "masked_key",
        "shown_settings",
        "exports",
        "tested_at",
        "test_ok",
        "test_message",
        "setup_fault",
        "setup_fault_at",
        "paused_until",
        "created_at",
        "created_by",
        "updated_at",
        "disconnected_at",
    )
    fields = readonly_fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Integration]:
        return super().get_queryset(request).defer("secrets")

    @admin.display(description="key")
    def masked_key(self, integration: Integration) -> str:
        return f"••••{integration.key_hint}"

    @admin.display(description="settings")
    def shown_settings(self, integration: Integration) -> SafeString:
        return pretty(integration.settings)

    @admin.display(description="project", ordering="project__name")
    def project_link(self, integration: Integration) -> SafeString | str:
        return link(integration.project)

    @admin.display(description="exports")
    def exports(self, integration: Integration) -> SafeString:
        return list_link(
            integration._meta.get_field("exports").related_model, "exports", integration__id=integration.pk
        )
