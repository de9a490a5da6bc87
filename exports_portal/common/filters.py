"""What filters of lists share, on pages and in the REST API: days, their order, and the chips of what is set."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import django_filters
from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.http import QueryDict
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

from exports_portal.common import words

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)


class DayFilter(django_filters.DateFilter):
    """A local day of the project, written as 2026-11-23."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(
            input_formats=["%Y-%m-%d"],
            error_messages={"invalid": "Write a date as 2026-11-23."},
            validators=[
                MinValueValidator(FIRST_DAY, f"Choose a day after {FIRST_DAY}."),
                MaxValueValidator(LAST_DAY, f"Choose a day before {LAST_DAY}."),
            ],
            **extra,
        )


class FilterForm(forms.Form):
    """Days come in pairs, <name>_after and <name>_before, both inclusive."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for first in [name for name in cleaned if name.endswith("_after")]:
            last = f"{first.removesuffix('_after')}_before"
            if cleaned[first] and cleaned.get(last) and cleaned[last] < cleaned[first]:
                self.add_error(last, "The last day lies before the first.")
        return cleaned


class ProjectFilters(DjangoFilterBackend):
    """Gives the filter set the project, whose days and rows it filters by."""

    def get_filterset_kwargs(self, request: Request, queryset: QuerySet, view: Any) -> dict[str, Any]:
        return {**super().get_filterset_kwargs(request, queryset, view), "project": view.project}


@dataclass(frozen=True)
class Chip:
    """A filter that is set, or asked for in words that are not understood; `without` is the page's query without it."""

    text: str
    without: str
    is_wrong: bool = False


def changed(query: QueryDict, *without: str) -> QueryDict:
    """The query of an address without some of its parameters."""
    query = query.copy()
    for name in without:
        query.pop(name, None)
    return query


def days_in_words(after: date | None, before: date | None) -> str:
    """Empty when neither is set."""
    if after and before:
        return words.days(after, before)
    if after:
        return f"from {words.day(after)}"
    return f"until {words.day(before)}" if before else ""
