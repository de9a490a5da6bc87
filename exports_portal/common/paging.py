"""Items per page: the same four sizes on pages and in the REST API."""

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


class SizedPages(PageNumberPagination):
    """Lists of the REST API: {"count", "next", "previous", "results"}. A page that is not there answers 404."""

    page_size = DEFAULT_PAGE_SIZE
    page_size_query_param = "page_size"
    page_size_query_description = f"{', '.join(map(str, PAGE_SIZES))}; {DEFAULT_PAGE_SIZE} when left out."
    max_page_size = max(PAGE_SIZES)

    def get_page_size(self, request: Request) -> int:
        return page_size(request.query_params.get(self.page_size_query_param))
