"""Admin: notifications and what became of them. Projects change their preferences on their own page."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from exports_portal.common.admin import BigTableAdmin, ReadOnlyAdmin
from notifications.models import Dispatch, Notification, Preferences, Seen


@admin.register(Preferences)
class PreferencesAdmin(ReadOnlyAdmin):
    list_display = ("project", "kinds", "emails", "webhook_host", "rejected_percent", "empty_windows", "lag_minutes")
    list_select_related = ("project",)
    exclude = ("webhook",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Preferences]:
        return super().get_queryset(request).defer("webhook")  # it may be unreadable


@admin.register(Notification)
class NotificationAdmin(BigTableAdmin):
    list_display = ("id", "project", "kind", "title", "created_at")
    list_filter = ("kind",)
    list_select_related = ("project",)


@admin.register(Dispatch)
class DispatchAdmin(BigTableAdmin):
    list_display = ("id", "notification", "channel", "recipient", "attempts", "sent_at", "next_try_at", "last_error")
    list_filter = ("channel",)
    list_select_related = ("notification",)
    id_columns = ("id", "notification_id")


@admin.register(Seen)
class SeenAdmin(ReadOnlyAdmin):
    list_display = ("project", "user", "last_id")
    list_select_related = ("project", "user")
