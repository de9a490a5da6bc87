"""Admin: integrations. Their secrets are never read here; people change them on the Partner List."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exports_portal.common.admin import ReadOnlyAdmin, each, link, list_link, pretty
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Refused
from exports_portal.common.models import AuditEntry
from partners import actions
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
        "audit_log",
        "page",
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
    actions = ("retest",)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("partners.change_integration")

    @admin.action(description="Test connection", permissions=["operate"])
    def retest(self, request: HttpRequest, queryset: QuerySet[Integration]) -> None:
        def act(integration: Integration, by: Actor) -> str:
            if integration.disconnected_at is not None:
                raise Refused("It has been disconnected: there is no key to test.")
            report = actions.test_integration(integration=integration, by=by, now=timezone.now())
            return f"“{integration}”: {report.steps[-1].message}"

        each(request, queryset, act)

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

    @admin.display(description="audit log")
    def audit_log(self, integration: Integration) -> SafeString:
        return list_link(AuditEntry, "audit entries", target_type="integration", target_id=integration.pk)

    @admin.display(description="page")
    def page(self, integration: Integration) -> SafeString:
        url = reverse("partners:integration-edit", args=[integration.project.account_id, integration.pk])
        return format_html('<a href="{}">Edit, or enter another key</a>', url)

    @admin.display(description="exports")
    def exports(self, integration: Integration) -> SafeString:
        return list_link(
            integration._meta.get_field("exports").related_model, "exports", integration__id=integration.pk
        )
