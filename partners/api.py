"""REST: integrations. Their fields are those that the partners' adapters declare."""

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from exports_portal.common.api import UNKNOWN, ProjectView, StrictSerializer, Word
from partners import actions
from partners.contract import Field, Step
from partners.models import Integration
from partners.registry import all_adapters


def partner_fields() -> dict[str, Field]:
    """The fields of all partners by name."""
    return {spec.name: spec for adapter in all_adapters().values() for spec in adapter.fields}


class IntegrationSerializer(serializers.ModelSerializer):
    """An integration as answered: its settings beside its own fields, of its key only the last four characters."""

    active_exports = serializers.IntegerField(read_only=True, help_text="PENDING and RUNNING ones that use it")

    class Meta:
        model = Integration
        fields = [
            "id",
            "partner",
            "nickname",
            "key_hint",
            "active_exports",
            "tested_at",
            "test_ok",
            "test_message",
            "setup_fault",
            "setup_fault_at",
            "paused_until",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    def get_fields(self) -> dict[str, Any]:
        shown = [spec for spec in partner_fields().values() if not spec.secret]
        texts = {spec.name: serializers.CharField(source=f"settings.{spec.name}", read_only=True) for spec in shown}
        return {**super().get_fields(), **texts}


class ValuesInput(StrictSerializer):
    """What stands in the Integrate panel. Fields that are left out take their defaults."""

    def get_fields(self) -> dict[str, Any]:
        words = list(all_adapters())
        return {
            "partner": Word(words),
            "nickname": serializers.CharField(required=False, allow_blank=True, trim_whitespace=False),
            **{spec.name: _input(spec) for spec in partner_fields().values()},
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Fields that only another partner has are unknown here. An unknown partner is the verb's to tell."""
        adapter = all_adapters().get(attrs.get("partner", ""))
        own = {spec.name for spec in adapter.fields} if adapter else set(partner_fields())
        foreign = set(attrs) - own - {"partner", "nickname"}
        if foreign:
            raise ValidationError({name: [UNKNOWN] for name in foreign})
        return attrs


class IntegrationInput(ValuesInput):
    """A new integration."""

    def get_fields(self) -> dict[str, Any]:
        nickname = serializers.CharField(allow_blank=True, trim_whitespace=False)
        return {**super().get_fields(), "nickname": nickname}


class IntegrationPatch(ValuesInput):
    """Changes to an integration. What is left out stays, the key too; the partner cannot be changed."""

    def get_fields(self) -> dict[str, Any]:
        return {name: field for name, field in super().get_fields().items() if name != "partner"}


class StepSerializer(serializers.Serializer):
    name = serializers.CharField()
    outcome = serializers.SerializerMethodField(
        help_text="passed, failed or skipped; skipped also without a clear answer"
    )
    message = serializers.CharField()

    def get_outcome(self, step: Step) -> str:
        return "skipped" if step.outcome == "unknown" else step.outcome


class TestReportSerializer(serializers.Serializer):
    """ok is null when the answer does not tell whether the credentials work."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    ok = serializers.BooleanField(allow_null=True)
    steps = StepSerializer(many=True)


class IntegrationViewSet(ProjectView, GenericViewSet):
    """Integrations."""

    serializer_class = IntegrationSerializer
    lookup_value_converter = "int"
    queryset = Integration.objects.none()

    def get_queryset(self) -> QuerySet[Integration]:
        active = Count("exports", filter=Q(exports__status__in=actions.ACTIVE_EXPORTS))
        rows = Integration.objects.connected().filter(project=self.project)
        return rows.defer("secrets").annotate(active_exports=active).order_by("-id")

    def list(self, request: Request) -> Response:
        """The integrations of the project, newest first."""
        return self.listed(self.get_queryset(), IntegrationSerializer)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One integration; of its key only the last four characters."""
        return self._answer(pk)

    @extend_schema(request=IntegrationInput, responses={201: IntegrationSerializer})
    def create(self, request: Request) -> Response:
        """Integrate a partner."""
        values = self.given(IntegrationInput)
        integration = actions.create_integration(
            project=self.project,
            partner=values.pop("partner"),
            nickname=values.pop("nickname"),
            values=values,
            by=self.by,
            now=self.now,
        )
        return self._answer(integration.pk, status=201)

    @extend_schema(request=IntegrationPatch, responses=IntegrationSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change an integration. A new key counts at once, other settings from the next run of each export."""
        integration = self._own(pk)
        values = self.given(IntegrationPatch, partial=True)
        nickname = values.pop("nickname", integration.nickname)
        actions.edit_integration(integration=integration, nickname=nickname, values=values, by=self.by, now=self.now)
        return self._answer(pk)

    def destroy(self, request: Request, pk: int) -> Response:
        """Disconnect. 409 while exports that use it are active."""
        actions.disconnect(integration=self._own(pk), by=self.by, now=self.now)
        return Response(status=204)

    @extend_schema(request=None, responses=TestReportSerializer)
    @action(detail=True, methods=["post"], url_path="test")
    def test(self, request: Request, pk: int) -> Response:
        """Test the connection of a saved integration. It sends an empty list: nothing is recorded at the partner."""
        report = actions.test_integration(integration=self._own(pk), by=self.by, now=self.now)
        return Response(TestReportSerializer(report).data)

    @extend_schema(operation_id="integrations_test_unsaved", request=ValuesInput, responses=TestReportSerializer)
    @action(detail=False, methods=["post"], url_path="test")
    def test_values(self, request: Request) -> Response:
        """The same for values that have not been saved."""
        values = self.given(ValuesInput)
        values.pop("nickname", None)
        report = actions.test_values(project=self.project, partner=values.pop("partner"), values=values, by=self.by)
        return Response(TestReportSerializer(report).data)

    def _own(self, pk: int) -> Integration:
        return get_object_or_404(Integration.objects.connected().defer("secrets"), project=self.project, pk=pk)

    def _answer(self, pk: int, status: int = 200) -> Response:
        row = get_object_or_404(self.get_queryset(), pk=pk)
        return Response(IntegrationSerializer(row).data, status=status)


def _input(spec: Field) -> serializers.Field:
    """A secret may be empty where it is kept; the verb says when it may not."""
    if spec.choices:
        words = [choice.value for choice in spec.choices]
        return Word(words, required=False, help_text=spec.label)
    return serializers.CharField(
        required=False, write_only=True, allow_blank=spec.secret, trim_whitespace=False, help_text=spec.label
    )
