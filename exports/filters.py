"""The filters of exports: one set for the Exports page and the REST API. They live in the URL."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

import django_filters
from django import forms
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Lower, NullIf
from drf_spectacular.utils import extend_schema_field

from exports import schedule
from exports.models import Export, ExportType, Frequency, Status
from exports_portal.common.filters import DayFilter, FilterForm
from partners.models import Integration
from partners.registry import all_adapters, partner_choices
from projects.models import Project

NEWEST_FIRST = ("-exported_on", "-id")
SHOWN_NAME = Lower(Coalesce(NullIf("name", Value("")), F("integration__nickname")))


def format_choices() -> list[tuple[str, str]]:
    """The file formats in which partners take records."""
    formats = sorted({adapter.format for adapter in all_adapters().values()})
    return [(name, name) for name in formats]


class ManyChoicesField(forms.MultipleChoiceField):
    """Several choices, in whatever case they were typed. No value at all means no filter."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_choice": "“%(value)s” is not one of the choices."}

    def to_python(self, value: Any) -> list[str]:
        choices: Any = self.choices
        known = {str(key).lower(): str(key) for key, _ in choices}
        return [known.get(text.lower(), text) for text in super().to_python(value) if text]


class ManyChoices(django_filters.MultipleChoiceFilter):
    field_class = ManyChoicesField

    def __init__(self, **extra: Any) -> None:
        super().__init__(distinct=False, **extra)


class Ordering(django_filters.OrderingFilter):
    """Ties are broken by the id, so that pages never overlap."""

    def filter(self, qs: QuerySet, value: Any) -> QuerySet:
        if not value:
            return qs.order_by(*NEWEST_FIRST)
        columns = [self.get_ordering_value(name) for name in value]
        if any(column.lstrip("-") == "shown_name" for column in columns):
            qs = qs.alias(shown_name=SHOWN_NAME)  # only then: every page and count would make the join that it needs
        return qs.order_by(*columns, "-id")


class ExportFilter(django_filters.FilterSet):
    """Filters a project's exports by the query parameters of the REST API.

    Days are local days of `project`, both inclusive. Call it with `data`, `queryset` and `project`; `qs` is
    ordered. Values that are not understood stand in `errors`.
    """

    partner = ManyChoices(choices=partner_choices, method="of_partner")
    type = ManyChoices(choices=ExportType.choices)
    format = ManyChoices(choices=format_choices, method="of_format")
    status = ManyChoices(choices=Status.choices)
    frequency = ManyChoices(choices=Frequency.choices)
    exported_on_after = DayFilter(method="from_day", label="Exported on or after")
    exported_on_before = DayFilter(method="to_day", label="Exported on or before")
    search = django_filters.CharFilter(method="named_like", label="Search", max_length=200)
    ordering = Ordering(
        fields={
            "exported_on": "exported_on",
            "created_at": "created_at",
            "shown_name": "name",
            "type": "type",
            "frequency": "frequency",
            "status": "status",
        }
    )

    class Meta:
        model = Export
        fields: list[str] = []
        form = FilterForm

    def __init__(self, data: Any = None, queryset: Any = None, *, project: Project, **extra: Any) -> None:
        rows = Export.objects.all() if queryset is None else queryset
        super().__init__(data, rows.filter(project=project), **extra)
        self.project = project

    @property
    def qs(self) -> QuerySet[Export]:
        """Filtered and ordered; newest first unless told otherwise."""
        rows = super().qs
        return rows if rows.query.order_by else rows.order_by(*NEWEST_FIRST)

    @extend_schema_field({"type": "string"})
    def of_partner(self, queryset: QuerySet, _name: str, partners: list[str]) -> QuerySet:
        return queryset.filter(integration__in=self._integrations(partner__in=partners)) if partners else queryset

    @extend_schema_field({"type": "string"})
    def of_format(self, queryset: QuerySet, _name: str, formats: list[str]) -> QuerySet:
        partners = [slug for slug, adapter in all_adapters().items() if adapter.format in formats]
        return self.of_partner(queryset, "partner", partners) if formats else queryset

    def from_day(self, queryset: QuerySet, _name: str, day: date) -> QuerySet:
        return queryset.filter(exported_on__gte=self._midnight(day))

    def to_day(self, queryset: QuerySet, _name: str, day: date) -> QuerySet:
        return queryset.filter(exported_on__lt=self._midnight(day + timedelta(days=1)))

    def named_like(self, queryset: QuerySet, _name: str, text: str) -> QuerySet:
        return queryset.filter(
            Q(name__icontains=text) | Q(integration__in=self._integrations(nickname__icontains=text))
        )

    def _integrations(self, **which: Any) -> list[int]:
        """A project has few of them: by their ids, exports are found in their own index, without a join."""
        return list(Integration.objects.filter(project=self.project, **which).values_list("pk", flat=True))

    def _midnight(self, day: date) -> datetime:
        return schedule.local_instant(day, 0, self.project.tz).astimezone(UTC)
