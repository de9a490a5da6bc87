"""REST: the catalogue of event names."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from events import catalogue
from events.models import EventName
from exports_portal.common.api import ProjectView


class EventNameSerializer(serializers.ModelSerializer):
    """count and last_seen_at are rolled up from the log, a little late."""

    class Meta:
        model = EventName
        fields = ["name", "kind", "count", "first_seen_at", "last_seen_at"]
        read_only_fields = fields


class CatalogueView(ProjectView):
    serializer_class = EventNameSerializer
    queryset = EventName.objects.none()
    parameters = ("search", "kind")

    @extend_schema(
        operation_id="events_list",
        responses=EventNameSerializer(many=True),
        parameters=[OpenApiParameter(name, OpenApiTypes.STR) for name in parameters],
    )
    def get(self, request: Request) -> Response:
        """The event names that the project has seen, by name."""
        rows = catalogue.names_of(self.project).order_by("name")  # counts grow while one turns the pages
        search, kind = (request.query_params.get(name, "").replace("\0", "") for name in self.parameters)
        if search:
            rows = rows.filter(name__icontains=search)
        if kind:
            rows = rows.filter(kind=kind)
        return self.listed(rows, EventNameSerializer)
