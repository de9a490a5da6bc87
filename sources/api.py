"""REST: sources, the accounts at CleverTap that events are brought in from."""

from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from exports_portal.common.api import ProjectView, StrictSerializer, Word
from sources import actions, progress
from sources.clevertap import REGIONS
from sources.models import Pull, Source
from sources.progress import Progress
from sources.spec import SourceSpec, spec_of


class SourceSerializer(serializers.ModelSerializer):
    """A source as answered: of its passcode four characters at most. A day counts once for each event."""

    state = serializers.SerializerMethodField(help_text="RUNNING, PENDING (between days), DONE, FAULT or STOPPED")
    days = serializers.SerializerMethodField(help_text="to be read")
    days_over = serializers.SerializerMethodField(help_text="of these, read or not offered by CleverTap")
    captured = serializers.SerializerMethodField(help_text="events")

    class Meta:
        model = Source
        fields = [
            "id",
            "account_id",
            "passcode_hint",
            "region",
            "timezone",
            "events",
            "date_from",
            "date_to",
            "state",
            "days",
            "days_over",
            "captured",
            "fault",
            "last_error",
            "not_before",
            "created_at",
            "stopped_at",
        ]
        read_only_fields = fields
        hint = "the last four characters of the passcode; empty when it has fewer than 16, or was forgotten"
        extra_kwargs = {"passcode_hint": {"help_text": hint}}

    def _progress(self, source: Source) -> Progress:
        found: Progress = self.context["progress"][source.pk]
        return found

    def get_state(self, source: Source) -> str:
        return self._progress(source).state

    def get_days(self, source: Source) -> int:
        return self._progress(source).days

    def get_days_over(self, source: Source) -> int:
        return self._progress(source).over

    def get_captured(self, source: Source) -> int:
        return self._progress(source).captured


class SourcePatch(StrictSerializer):
    """Changes to a source. What is left out stays, the passcode too; the account cannot be changed."""

    passcode = serializers.CharField(required=False, write_only=True, allow_blank=True, trim_whitespace=False)
    region = Word(REGIONS)
    timezone = serializers.CharField(help_text="of the account, an IANA name such as Asia/Kolkata")
    events = serializers.ListField(child=serializers.CharField(allow_blank=True), help_text="as CleverTap spells them")
    date_from = serializers.DateField(help_text="the first day")
    date_to = serializers.DateField(required=False, allow_null=True, help_text="the last day; null: every new day, too")


class SourceInput(SourcePatch):
    """A new source."""

    account_id = serializers.CharField(allow_blank=True)
    passcode = serializers.CharField(write_only=True, allow_blank=True, trim_whitespace=False)


class DaySerializer(serializers.ModelSerializer):
    """The events of one name on one day of the account."""

    class Meta:
        model = Pull
        fields = ["name", "day", "state", "read", "captured", "known", "refused", "error", "finished_at"]
        read_only_fields = fields


class SourceViewSet(ProjectView, GenericViewSet):
    """Sources."""

    serializer_class = SourceSerializer
    lookup_value_converter = "int"
    queryset = Source.objects.none()

    def get_queryset(self) -> QuerySet[Source]:
        return Source.objects.filter(project=self.project).order_by("-id")

    def list(self, request: Request) -> Response:
        """The sources of the project, newest first."""
        return self.listed(self.get_queryset(), SourceSerializer, beside=_progress)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One source, with how far it is."""
        return self._answer(pk)

    @extend_schema(request=SourceInput, responses={201: SourceSerializer})
    def create(self, request: Request) -> Response:
        """Import from an account at CleverTap."""
        spec = SourceSpec(**self.given(SourceInput))
        made = actions.create_source(project=self.project, spec=spec, by=self.by, now=self.now)
        return self._answer(made.pk, status=201)

    @extend_schema(request=SourcePatch, responses=SourceSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a source; what went wrong is forgotten, and it goes on. 409 when it was stopped."""
        source = self._own(pk)
        spec = replace(spec_of(source), **self.given(SourcePatch, partial=True))
        actions.edit_source(source=source, spec=spec, by=self.by, now=self.now)
        return self._answer(pk)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: int) -> Response:
        """Read nothing more, and forget the passcode; 200 also when it is stopped already."""
        return self._act(actions.stop_source, pk)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> Response:
        """Go on at once. 409 when it was stopped."""
        return self._act(actions.retry_source, pk)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="read-again")
    def read_again(self, request: Request, pk: int) -> Response:
        """Read all days once more; only what is new there is captured. 409 when it was stopped."""
        return self._act(actions.read_again, pk)

    @extend_schema(responses=DaySerializer(many=True))
    @action(detail=True, methods=["get"])
    def days(self, request: Request, pk: int) -> Response:
        """Its days by event, the latest first, with what came of each."""
        return self.listed(self._own(pk).pulls.order_by("-day", "name"), DaySerializer)

    def _act(self, verb: Any, pk: int) -> Response:
        verb(source=self._own(pk), by=self.by, now=self.now)
        return self._answer(pk)

    def _own(self, pk: int) -> Source:
        return get_object_or_404(self.get_queryset(), pk=pk)

    def _answer(self, pk: int, status: int = 200) -> Response:
        source = self._own(pk)
        return Response(SourceSerializer(source, context=_progress([source])).data, status=status)


def _progress(sources: list[Source]) -> dict[str, Any]:
    return {"progress": {one.source.pk: one for one in progress.of_all(sources)}}
