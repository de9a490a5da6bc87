"""REST: how exports, runs and rejected records look, and the body that makes an export. They only translate."""

import json
from typing import Any, ClassVar

from rest_framework import serializers

from exports.models import EventChoice, Export, ExportType, Frequency, Rejected, Run
from exports.models.counting import TALLIES
from exports.models.export import is_accounted_for
from exports.spec import IDENTIFIERS, WRITABLE, ExportSpec
from exports_portal.common.api import StrictSerializer, Word
from exports_portal.common.models import AuditEntry


def tally(**extra: Any) -> serializers.IntegerField:
    return serializers.IntegerField(read_only=True, **extra)


class ExportSerializer(serializers.ModelSerializer):
    """An export of a queryset `with_counts()`. The counts are those of all its runs."""

    integration = serializers.IntegerField(source="integration_id", read_only=True)
    partner = serializers.CharField(source="integration.partner", read_only=True)
    nickname = serializers.CharField(source="integration.nickname", read_only=True)
    format = serializers.CharField(source="integration.adapter.format", read_only=True)
    read = tally(help_text="equals delivered + rejected + held + skipped")
    delivered = tally(help_text="accepted by the partner's API")
    rejected = tally()
    held = tally(help_text="waiting, because the partner throttles their ids")
    skipped = tally(help_text="could not be sent, for want of an identifier")
    in_flight = tally(help_text="in the requests that are out now")
    unconfirmed = tally(help_text="in requests that ended without an answer")
    lag_seconds = serializers.SerializerMethodField(
        help_text="live: the age of the oldest captured record without an outcome, 0 when there is none; else null"
    )

    class Meta:
        model = Export
        fields: ClassVar[list[str]] = [
            "id",
            "integration",
            "partner",
            "nickname",
            "format",
            *WRITABLE,
            "status",
            "stop_reason",
            *TALLIES,
            "lag_seconds",
            "needs_attention",
            "last_error",
            "next_run_at",
            "exported_on",
            "version",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    def get_lag_seconds(self, export: Export) -> float | None:
        lag = self.context["lags"].get(export.pk)
        return None if lag is None else round(lag.seconds, 3)


class ExportInput(StrictSerializer):
    """A new export. one_time takes date_from and date_to; recurring takes every_hours and start_date.

    Dates are inclusive local days of the project. A one-time export of user profiles needs none and keeps none: it
    sends all people once, as they are when they are read.
    """

    integration = serializers.IntegerField(source="integration_id")
    name = serializers.CharField(required=False, allow_blank=True)
    type = Word(ExportType.values, required=False)
    events = Word(EventChoice.values, required=False)
    selected_events = serializers.ListField(child=serializers.CharField(trim_whitespace=False), required=False)
    identifier_priority = serializers.ListField(child=Word(IDENTIFIERS), required=False)
    excluded_properties = serializers.ListField(child=serializers.CharField(trim_whitespace=False), required=False)
    hyphenate_names = serializers.BooleanField(required=False)
    frequency = Word(Frequency.values)
    date_from = serializers.DateField(required=False, allow_null=True)
    date_to = serializers.DateField(required=False, allow_null=True)
    every_hours = serializers.IntegerField(required=False, allow_null=True)
    start_date = serializers.DateField(required=False, allow_null=True)

    @staticmethod
    def as_spec_fields(given: dict[str, Any]) -> dict[str, Any]:
        """The validated fields as ExportSpec has them."""
        return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}

    @classmethod
    def as_spec(cls, given: dict[str, Any]) -> ExportSpec:
        return ExportSpec(**cls.as_spec_fields(given))


class ExportPatch(ExportInput):
    """Changes to an export. `version` is the one that the editor saw; when it is stale the answer is 409."""

    version = serializers.IntegerField(required=False, min_value=1)


class WindowSerializer(serializers.Serializer):
    """Half-open: the start belongs to it, the end does not. Where all people are sent both are the creation."""

    start = serializers.DateTimeField(source="window_start")
    end = serializers.DateTimeField(source="window_end")


class RunSerializer(serializers.ModelSerializer):
    """A run of a queryset `with_counts()`."""

    window = WindowSerializer(source="*", read_only=True)
    read = tally()
    delivered = tally()
    rejected = tally()
    held = tally()
    skipped = tally()
    in_flight = tally()
    unconfirmed = tally()
    altered = tally(help_text="records with a value that had to be cut or nulled")
    accounted = serializers.SerializerMethodField(help_text="read = delivered + rejected + held + skipped")
    attempts = serializers.SerializerMethodField(help_text="how often workers took it up; above 1 after a worker died")

    class Meta:
        model = Run
        fields: ClassVar[list[str]] = [
            "id",
            "export",
            "sequence",
            "status",
            "window",
            *TALLIES,
            "altered",
            "accounted",
            "attempts",
            "estimate",
            "created_at",
            "started_at",
            "finished_at",
            "last_error",
        ]
        read_only_fields = fields

    def get_accounted(self, run: Any) -> bool:
        return is_accounted_for(run)

    def get_attempts(self, run: Any) -> int:
        return 1 + run.takeovers if run.started_at else 0


class ResendInput(StrictSerializer):
    """Which rejected records shall be sent again: some by id, or all of a reason."""

    ids = serializers.ListField(child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False)
    reason = serializers.CharField(required=False)
    consent = serializers.BooleanField(
        default=False, help_text="also those rejected more than 7 days ago, which the partner may count twice"
    )


class ContinueInput(StrictSerializer):
    consent = serializers.BooleanField(
        default=False, help_text="also what was sent without an answer more than 7 days ago, which may count twice"
    )


class ResendAnswer(serializers.Serializer):
    """How many records have been queued by this request."""

    queued = serializers.IntegerField()


class RejectedSerializer(serializers.ModelSerializer):
    payload = serializers.SerializerMethodField(help_text="the record as it was sent")
    queued = serializers.SerializerMethodField(help_text="it will be sent again")

    class Meta:
        model = Rejected
        fields: ClassVar[list[str]] = [
            "id",
            "reason",
            "field",
            "message",
            "cure",
            "payload",
            "attempts",
            "queued",
            "created_at",
        ]
        read_only_fields = fields

    def get_queued(self, record: Rejected) -> bool:
        return record.resend_at is not None

    def get_payload(self, record: Rejected) -> dict[str, Any] | str | None:
        try:
            return json.loads(record.payload) if record.payload else None
        except ValueError:
            return record.payload


class HistorySerializer(serializers.ModelSerializer):
    """One act: who did what, and from what to what."""

    class Meta:
        model = AuditEntry
        fields: ClassVar[list[str]] = ["id", "at", "actor", "action", "target_type", "target_id", "before", "after"]
        read_only_fields = fields


class SkippedSerializer(serializers.Serializer):
    """A record that could not be sent at all. The first 1,000 of a run are listed."""

    id = serializers.IntegerField()
    reason = serializers.CharField()
    message = serializers.CharField()
    event = serializers.CharField(allow_null=True, help_text="null when the log has it no more")
    time = serializers.DateTimeField(allow_null=True)
    person = serializers.CharField(allow_null=True, help_text="the identity, else the CleverTap ID")


class PreviewRecordSerializer(serializers.Serializer):
    event_name = serializers.CharField(help_text="“User profile” when it is none")
    time = serializers.DateTimeField()
    verdict = serializers.CharField(help_text="sent, skipped or rejected")
    reason = serializers.CharField()
    message = serializers.CharField()
    cure = serializers.CharField()
    payload = serializers.DictField(allow_null=True, help_text="exactly as the partner gets it")
    count = serializers.IntegerField(help_text="how many of those looked at are not sent for this reason; 1 if sent")


class PreviewSerializer(serializers.Serializer):
    estimate = serializers.IntegerField(help_text="about how many records would be sent")
    looked_at = serializers.IntegerField(help_text="how many records were looked at for those that would not be sent")
    records = PreviewRecordSerializer(
        many=True, source="all", help_text="the first that would be sent, then one for each reason why others are not"
    )
