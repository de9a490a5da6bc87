"""REST: the catalogue of event names, as the Schema page shows it, and the stream of what comes in."""

from collections.abc import Callable

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from events import catalogue, schema
from events.models import EventName, PropertySeen, RefusedUpload
from events.people_api import LastEventSerializer
from exports_portal.common.api import ProjectView


class EventNameSerializer(serializers.ModelSerializer):
    """count and last_seen_at are rolled up from the log, a little late. Uploads of a discarded one are refused."""

    class Meta:
        model = EventName
        fields = ["id", "name", "kind", "count", "first_seen_at", "last_seen_at", "discarded_at"]
        read_only_fields = fields


class PropertyTypeSerializer(serializers.ModelSerializer):
    class Meta:
        model = PropertySeen
        fields = ["type", "count"]
        read_only_fields = fields


class PropertySerializer(serializers.Serializer):
    key = serializers.CharField()
    count = serializers.IntegerField()
    last_seen_at = serializers.DateTimeField()
    types = PropertyTypeSerializer(many=True)


class EventNameDetailSerializer(EventNameSerializer):
    """With the properties that its events had, most frequent first."""

    properties = serializers.SerializerMethodField()

    class Meta(EventNameSerializer.Meta):
        fields = [*EventNameSerializer.Meta.fields, "properties"]
        read_only_fields = fields

    def get_properties(self, name: EventName) -> PropertySerializer(many=True):  # type: ignore[valid-type]
        return PropertySerializer(schema.properties(name), many=True).data


class ReceivedSerializer(LastEventSerializer):
    identity = serializers.CharField(allow_null=True)
    clevertap_id = serializers.CharField()


class RefusedSerializer(serializers.ModelSerializer):
    """`record` is the text of the record as it came, cut when it is long."""

    class Meta:
        model = RefusedUpload
        fields = ["received_at", "code", "error", "record"]
        read_only_fields = fields


class StreamSerializer(serializers.Serializer):
    received = ReceivedSerializer(many=True)
    refused = RefusedSerializer(many=True)


class EventNameViewSet(ProjectView, GenericViewSet):
    """The event names that the project has seen."""

    serializer_class = EventNameSerializer
    lookup_value_converter = "int"
    queryset = EventName.objects.none()
    parameters = ("search", "kind")

    def get_queryset(self) -> QuerySet[EventName]:
        return self.project.event_names.select_related("project")

    @extend_schema(
        responses=EventNameSerializer(many=True),
        parameters=[OpenApiParameter(name, OpenApiTypes.STR) for name in parameters],
    )
    def list(self, request: Request) -> Response:
        """The event names that the project has seen, by name."""
        rows = self.get_queryset().order_by("name")  # counts grow while one turns the pages
        search, kind = (request.query_params.get(name, "").replace("\0", "") for name in self.parameters)
        if search:
            rows = rows.filter(name__icontains=search)
        if kind:
            rows = rows.filter(kind=kind)
        return self.listed(rows, EventNameSerializer)

    @extend_schema(responses=EventNameDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """One event name with the properties that its events had."""
        return Response(EventNameDetailSerializer(self._own(pk)).data)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: int) -> Response:
        """Refuse uploads of this event from now on, with code 528; what was captured stays. 200 also when it is so."""
        return self._acted(catalogue.discard, pk)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: int) -> Response:
        """Capture this event again from now on; 200 also when it is captured."""
        return self._acted(catalogue.restore, pk)

    @extend_schema(responses=StreamSerializer)
    @action(detail=False, methods=["get"])
    def stream(self, request: Request) -> Response:
        """The last events received and the last records refused, newest first."""
        return Response(StreamSerializer(schema.stream(self.project)).data)

    def _acted(self, verb: Callable[..., None], pk: int) -> Response:
        name = self._own(pk)
        verb(name=name, by=self.by, now=self.now)
        return Response(EventNameSerializer(name).data)

    def _own(self, pk: int) -> EventName:
        return get_object_or_404(self.get_queryset(), pk=pk)
