"""REST: what a project was told, what it wants to hear of, and where that goes. Every view is one verb or a read."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from exports_portal.common.api import ProjectView, StrictSerializer, Word
from notifications import actions
from notifications.models import CHOSEN, Dispatch, Notification, Preferences
from projects import access
from projects.models import Role


class DispatchSerializer(serializers.ModelSerializer):
    """A mail or a webhook's call. It is given up when both `sent_at` and `next_try_at` are null."""

    class Meta:
        model = Dispatch
        fields = ["channel", "recipient", "attempts", "sent_at", "next_try_at", "last_error"]
        read_only_fields = fields


class NotificationSerializer(serializers.ModelSerializer):
    dispatches = DispatchSerializer(many=True, read_only=True)

    class Meta:
        model = Notification
        fields = ["id", "kind", "title", "text", "exports", "created_at", "dispatches"]
        read_only_fields = fields


class PreferencesSerializer(serializers.ModelSerializer):
    """The webhook's address is a secret: only its host can be read again."""

    class Meta:
        model = Preferences
        fields = ["kinds", "emails", "rejected_percent", "empty_windows", "lag_minutes", "webhook_host"]
        read_only_fields = fields


class PreferencesInput(StrictSerializer):
    """What is left out stays."""

    kinds = serializers.ListField(child=Word([str(kind) for kind in CHOSEN]), required=False)
    emails = serializers.ListField(child=serializers.CharField(), required=False)
    rejected_percent = serializers.IntegerField(required=False, help_text="rejected: more than this share, in percent")
    empty_windows = serializers.IntegerField(required=False, help_text="empty: after so many windows in a row")
    lag_minutes = serializers.IntegerField(required=False, help_text="lag: by more than so many minutes")


class WebhookInput(StrictSerializer):
    url = serializers.CharField(help_text="https://…")


class WebhookSerializer(serializers.Serializer):
    webhook_host = serializers.CharField()
    secret = serializers.CharField(help_text="signs the calls; shown in this answer only")


class NotificationViewSet(ProjectView, GenericViewSet):
    """Notifications: those that were made for everybody, where they go for admins."""

    serializer_class = NotificationSerializer
    queryset = Notification.objects.none()

    def get_queryset(self) -> QuerySet[Notification]:
        return Notification.objects.filter(project=self.project).prefetch_related("dispatches").order_by("-id")

    def list(self, request: Request) -> Response:
        """What the project was told, newest first, and what became of the mails and calls."""
        return self.listed(self.get_queryset(), NotificationSerializer)

    @extend_schema(responses=PreferencesSerializer)
    @action(detail=False, methods=["get"], url_path="settings")
    def preferences(self, request: Request) -> Response:
        """What the project is told of, from which limits on, and to whom it goes."""
        access.require(self.by, self.project, Role.ADMIN)
        return Response(PreferencesSerializer(actions.preferences_of(self.project)).data)

    @extend_schema(request=PreferencesInput, responses=PreferencesSerializer)
    @preferences.mapping.patch
    def edit(self, request: Request) -> Response:
        """Change some of it."""
        given = self.given(PreferencesInput, partial=True)
        saved = actions.save_preferences(project=self.project, **given, by=self.by, now=self.now)
        return Response(PreferencesSerializer(saved).data)

    @extend_schema(request=WebhookInput, responses=WebhookSerializer)
    @action(detail=False, methods=["put"])
    def webhook(self, request: Request) -> Response:
        """Call this address with each notification. The same address anew makes a new secret."""
        secret = actions.set_webhook(project=self.project, **self.given(WebhookInput), by=self.by, now=self.now)
        host = actions.preferences_of(self.project).webhook_host
        return Response({"webhook_host": host, "secret": secret})

    @extend_schema(request=None, responses={204: None})
    @webhook.mapping.delete
    def remove_webhook(self, request: Request) -> Response:
        """Call nobody any more; 204 also when nobody was called."""
        actions.remove_webhook(project=self.project, by=self.by, now=self.now)
        return Response(status=204)

    @extend_schema(request=None, responses={201: NotificationSerializer})
    @action(detail=False, methods=["post"])
    def test(self, request: Request) -> Any:
        """Send a test to all mail addresses and the webhook; the list tells what becomes of it. 409 without any."""
        made = actions.send_test(project=self.project, by=self.by, now=self.now)
        return Response(NotificationSerializer(made).data, status=201)
