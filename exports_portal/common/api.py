"""What all views of the REST API share: the project of the token, strict input, and how refusals are answered."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from exports_portal.common.audit import Actor
from exports_portal.common.database import AWAY, reason
from exports_portal.common.errors import Invalid, Refused

log = structlog.get_logger(__name__)

UNKNOWN = "There is no field with this name."
UNKNOWN_PARAMETER = "There is no parameter with this name here."


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Invalid is 400 with a list of sentences per field, Refused is 409 with `detail`, a database that is away 503."""
    if isinstance(error, Invalid):
        whole = api_settings.NON_FIELD_ERRORS_KEY
        error = ValidationError({name or whole: texts for name, texts in error.errors.items()})
    if isinstance(error, Refused):
        return Response({"detail": str(error)}, status=409)
    if isinstance(error, AWAY):
        log.warning("database.away", why=reason(error))
        return Response({"detail": "The database is away for a moment. Nothing was changed; try again."}, status=503)
    return exception_handler(error, context)


class Word(serializers.CharField):
    """A text whose allowed words the verb checks, so that its sentence stands beside all others.

    The schema lists the words.
    """

    def __init__(self, words: Iterable[str], **extra: Any) -> None:
        super().__init__(**extra)
        self.words = list(words)


class WordInSchema(OpenApiSerializerFieldExtension):
    target_class = Word

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "string", "description": f"One of: {', '.join(self.target.words)}."}


class StrictSerializer(serializers.Serializer):
    """Input in which an unknown field is an error, never ignored. Each field's errors are a flat list."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = [name for name in data if name not in self.fields] if isinstance(data, dict) else []
        errors: dict[str, Any] = {str(name): [UNKNOWN] for name in unknown}
        value = None
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            details: Any = error.detail
            errors |= {name: list(_flat(detail)) for name, detail in details.items()}
        if errors:
            raise ValidationError(errors)
        return value


def _flat(detail: Any) -> Iterator[str]:
    """The sentences about one field; those about an item of a list say which one."""
    if not isinstance(detail, dict):
        yield from map(str, detail)
        return
    for index, texts in detail.items():
        yield from (f"Item {int(index) + 1}: {text}" for text in texts)


class ProjectView(GenericAPIView):
    """A view of one project's things. Translates in, makes one domain call, translates out."""

    parameters: Iterable[str] = ()  # what a list takes beside page and page_size

    @property
    def project(self) -> Any:
        """The project that the token names."""
        return self.request.project  # type: ignore[attr-defined]

    @property
    def by(self) -> Actor:
        return self.request.user.actor  # type: ignore[union-attr]

    @property
    def now(self) -> datetime:
        return timezone.now()

    def given(self, serializer: type[serializers.Serializer], *, partial: bool = False) -> dict[str, Any]:
        """The validated body of the request. Raises ValidationError."""
        body = serializer(data=self.request.data, partial=partial)
        body.is_valid(raise_exception=True)
        return body.validated_data

    def take_only(self, *parameters: str) -> None:
        """Raises ValidationError for any other query parameter: a mistyped filter must not list all."""
        unknown = set(self.request.query_params).difference(parameters)
        if unknown:
            raise ValidationError({name: [UNKNOWN_PARAMETER] for name in sorted(unknown)})

    def listed(
        self,
        queryset: Any,
        serializer: type[serializers.BaseSerializer],
        *,
        shown: Callable[[list[Any]], list[Any]] = list,
        beside: Callable[[list[Any]], dict[str, Any]] = lambda rows: {},
    ) -> Response:
        """One page of a queryset, its rows as `shown` makes them, with what the serializer needs `beside` them."""
        self.take_only("page", "page_size", *self.parameters)
        page = self.paginate_queryset(queryset)
        rows = shown(page or [])
        return self.get_paginated_response(serializer(rows, many=True, context=beside(rows)).data)


@csrf_exempt
@login_not_required
def no_such_address(_request: HttpRequest, path: str) -> JsonResponse:
    """Unknown addresses below /api/ answer in JSON, and are not taken for pages."""
    hint = "" if path.endswith("/") else " Addresses of this API end with a slash."
    return JsonResponse({"detail": f"There is nothing at this address.{hint}"}, status=404)
