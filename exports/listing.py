"""The Exports page's filters, chips and pages: what stands in the address, made ready for templates."""

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page
from django.http import QueryDict

from exports.filters import ExportFilter
from exports.models import Status
from exports_portal.common.errors import Invalid
from exports_portal.common.filters import Chip, changed, days_in_words
from exports_portal.common.paging import PAGE_SIZES, KeyPaginator, page_size
from projects.models import User

GROUPS = ("partner", "type", "format", "status", "frequency")
DATES = ("exported_on_after", "exported_on_before")
FILTERS = (*GROUPS, *DATES)
# Records delivered is none of them: it is summed over the shards of all runs (docs/decisions/0003), for a sorted page a
# million rows in 150 ms; and a sum kept on the export would be one row that all its workers wait for.
COLUMNS = {"name": "Export", "type": "Type", "frequency": "Frequency", "status": "Status", "exported_on": "Exported on"}


@dataclass(frozen=True)
class Option:
    value: str
    label: str
    checked: bool

    @property
    def in_words(self) -> str:
        """A status shouts as a pill only."""
        return self.label.capitalize() if self.value in Status.values else self.label


@dataclass(frozen=True)
class Group:
    """One multi-select of the Filter popover."""

    name: str
    label: str
    options: list[Option]
    errors: list[str]


@dataclass(frozen=True)
class Column:
    """A sortable heading. direction: "ascending", "descending" or "" ; `query` sorts by it, or turns it round."""

    label: str
    direction: str
    query: str


class Filters:
    """What is filtered. A filter that is not understood is left out, and says so where it stands."""

    def __init__(self, found: ExportFilter, query: QueryDict) -> None:
        self._found, self._query = found, query
        found.is_valid()
        self.cleaned: dict[str, Any] = found.form.cleaned_data if found.is_bound else {}

    @property
    def problems(self) -> list[str]:
        """Of what is no filter: the search and the sorting."""
        return self._errors(*(name for name in self._found.errors if name not in FILTERS))

    def _errors(self, *names: str) -> list[str]:
        return [text for name in names for text in self._found.errors.get(name, ())]

    @property
    def groups(self) -> list[Group]:
        return [self._group(name) for name in GROUPS]

    def _group(self, name: str) -> Group:
        chosen = set(self.cleaned.get(name) or ())
        choices = self._found.form.fields[name].choices
        options = [Option(str(value), str(label), str(value) in chosen) for value, label in choices]
        return Group(name, name.capitalize(), options, self._errors(name))

    @property
    def date_errors(self) -> list[str]:
        return self._errors(*DATES)

    @property
    def days(self) -> dict[str, str]:
        """The two ends of Exported on as they stand in the address."""
        return {name: self._query.get(name, "") for name in DATES}

    @property
    def chips(self) -> list[Chip]:
        chips = []
        for group in self.groups:
            chosen = [option.in_words for option in group.options if option.checked]
            if chosen:
                chips.append(Chip(f"{group.label}: {', '.join(chosen)}", self._without(group.name)))
            chips += [
                Chip(f"{group.label}: {error}", self._without(group.name), is_wrong=True) for error in group.errors
            ]
        if days := days_in_words(*(self.cleaned.get(name) for name in DATES)):
            chips.append(Chip(f"Exported on: {days}", self._without(*DATES)))
        wrong = [(name, error) for name in DATES for error in self._errors(name)]
        return [*chips, *(Chip(f"Exported on: {error}", self._without(name), is_wrong=True) for name, error in wrong)]

    @property
    def count(self) -> int:
        """How many filters are in force."""
        return sum(not chip.is_wrong for chip in self.chips)

    @property
    def search(self) -> str:
        return self._query.get("search", "")

    @property
    def is_set(self) -> bool:
        return bool(self.chips or self.search)

    @property
    def columns(self) -> dict[str, Column]:
        ordering = self._query.get("ordering") or "-exported_on"
        return {name: self._column(name, label, ordering) for name, label in COLUMNS.items()}

    def _column(self, name: str, label: str, ordering: str) -> Column:
        direction = {name: "ascending", f"-{name}": "descending"}.get(ordering, "")
        query = changed(self._query, "page", "ordering")
        query["ordering"] = f"-{name}" if direction == "ascending" else name
        return Column(label, direction, query.urlencode())

    def kept(self, *without: str) -> list[tuple[str, str]]:
        """What a form that sets `without` must carry along."""
        query = changed(self._query, "page", *without)
        return [(name, value) for name, values in query.lists() for value in values]

    @property
    def kept_by_search(self) -> list[tuple[str, str]]:
        return self.kept("search")

    @property
    def kept_by_filter(self) -> list[tuple[str, str]]:
        return self.kept(*FILTERS)

    @property
    def kept_by_size(self) -> list[tuple[str, str]]:
        return self.kept("page_size")

    def _without(self, *names: str) -> str:
        return changed(self._query, "page", *names).urlencode()


def chosen_size(query: QueryDict, user: User) -> int:
    """Items per page: what the address says, and from then on for this user."""
    try:
        size = page_size(query.get("page_size"), default=user.items_per_page)
    except Invalid:
        return user.items_per_page
    if size != user.items_per_page:
        user.items_per_page = size
        user.save(update_fields=["items_per_page"])
    return size


def paged(rows: Any, query: QueryDict, size: int) -> dict[str, Any]:
    """The page of the address; the nearest one when there is no such page."""
    paginator = KeyPaginator(rows, size)
    page: Page = paginator.get_page(query.get("page"))
    numbers = list(paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1))
    return {"page": page, "numbers": numbers, "sizes": PAGE_SIZES}
