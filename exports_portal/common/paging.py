"""Items per page: the same four sizes on pages and in the REST API."""

from typing import Any

from django.core.paginator import Page, Paginator
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

from exports_portal.common.errors import Invalid

PAGE_SIZES = (10, 20, 30, 40)
DEFAULT_PAGE_SIZE = 20


def page_size(given: str | None, *, default: int = DEFAULT_PAGE_SIZE) -> int:
    """The page size that was asked for, `default` when nothing was. Raises Invalid for another than PAGE_SIZES."""
    if not given:
        return default
    if given not in map(str, PAGE_SIZES):
        raise Invalid({"page_size": [f"Choose one of: {', '.join(map(str, PAGE_SIZES))}."]})
    return int(given)


class KeyPaginator(Paginator):
    """Finds the keys of a page first, from the nearer end of the list, and then the rows of these keys.

    So the last page costs what the first one does, and nothing is read or reckoned for the rows that are passed on the
    way. For ordered querysets without slices. `count`: when it is known already.
    """

    def __init__(self, rows: Any, per_page: int, *, count: int | None = None, **extra: Any) -> None:
        super().__init__(rows, per_page, **extra)
        if count is not None:
            self.count = count

    def page(self, number: Any) -> Page:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        keys = self._keys(first, min(first + self.per_page, self.count))
        rows: Any = self.object_list
        found = rows.in_bulk(keys)
        return Page([found[key] for key in keys if key in found], number, self)

    def _keys(self, first: int, last: int) -> list[Any]:
        keys: Any = self.object_list.values_list("pk", flat=True)  # type: ignore[attr-defined]
        if first <= self.count // 2:
            return list(keys[first:last])
        return list(keys.reverse()[self.count - last : self.count - first])[::-1]


class SizedPages(PageNumberPagination):
    """Lists of the REST API: {"count", "next", "previous", "results"}. A page that is not there answers 404."""

    django_paginator_class = KeyPaginator
    page_size = DEFAULT_PAGE_SIZE
    page_size_query_param = "page_size"
    page_size_query_description = f"{', '.join(map(str, PAGE_SIZES))}; {DEFAULT_PAGE_SIZE} when left out."
    max_page_size = max(PAGE_SIZES)

    def get_page_size(self, request: Request) -> int:
        return page_size(request.query_params.get(self.page_size_query_param))
