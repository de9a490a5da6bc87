"""REST: people, as the User profiles page shows them."""

from typing import Any

import orjson
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from events import glance, store
from events.models import Identifier, Person
from exports_portal.common.api import ProjectView


class PersonSerializer(serializers.ModelSerializer):
    class Meta:
        model = Person
        fields = ["id", "identity", "name", "email", "phone", "clevertap_id", "created_at", "changed_at"]
        read_only_fields = fields


class IdentifierSerializer(serializers.ModelSerializer):
    class Meta:
        model = Identifier
        fields = ["kind", "value"]
        read_only_fields = fields


class LastEventSerializer(serializers.Serializer):
    name = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    properties = serializers.SerializerMethodField()

    def get_properties(self, row: store.EventRow) -> dict[str, Any]:
        properties: dict[str, Any] = orjson.loads(row.properties)
        return properties


class ProfileSerializer(PersonSerializer):
    """`merged_into`: who logged in on this device later. `earlier`: devices that were anonymous before their login."""

    identifiers = IdentifierSerializer(many=True, read_only=True)
    earlier = serializers.SerializerMethodField()
    last_events = serializers.SerializerMethodField()

    class Meta(PersonSerializer.Meta):
        fields = [*PersonSerializer.Meta.fields, "properties", "identifiers", "merged_into", "earlier", "last_events"]
        read_only_fields = fields

    def get_earlier(self, person: Person) -> list[int]:
        return [other.pk for other in glance.earlier(person)]

    def get_last_events(self, person: Person) -> LastEventSerializer(many=True):  # type: ignore[valid-type]
        return LastEventSerializer(glance.last_events(person), many=True).data


class ProfileViewSet(ProjectView, GenericViewSet):
    """User profiles."""

    serializer_class = ProfileSerializer
    lookup_value_converter = "int"
    queryset = Person.objects.none()
    parameters = ("search",)

    def get_queryset(self) -> QuerySet[Person]:
        return self.project.people.order_by("-pk")

    @extend_schema(
        responses=PersonSerializer(many=True),
        parameters=[OpenApiParameter("search", OpenApiTypes.STR, description="a whole identifier")],
    )
    def list(self, request: Request) -> Response:
        """People, newest first; with `search` those with this identity, email, phone or CleverTap ID."""
        search = request.query_params.get("search", "").replace("\0", "").strip()
        return self.listed(glance.found(self.project, search), PersonSerializer)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One person with properties, identifiers and last events."""
        return Response(ProfileSerializer(get_object_or_404(self.get_queryset(), pk=pk)).data)
