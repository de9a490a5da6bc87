"""What the Events and User profiles pages show: the catalogue with its last days, and people."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.core.paginator import Page, Paginator

from events.models import DailyCount, EventName, Identifier, Person
from projects.models import Project

DAYS = 14
NAMES_PER_PAGE = 50
PEOPLE_PER_PAGE = 20
MAX_KEY = 2**63 - 1


@dataclass(frozen=True)
class Bar:
    """One day of a spark line, in units of its view box."""

    x: int
    y: float
    height: float


@dataclass(frozen=True)
class CatalogueRow:
    """An event name and its counts on the last DAYS local days, today last."""

    name: EventName
    days: list[int]

    HEIGHT = 26

    @property
    def bars(self) -> list[Bar]:
        highest = max(self.days) or 1
        heights = [round(self.HEIGHT * count / highest, 1) for count in self.days]
        return [Bar(place * 9, round(self.HEIGHT - height, 1), height) for place, height in enumerate(heights)]

    @property
    def in_words(self) -> str:
        return f"last {DAYS} days: {', '.join(map(str, self.days))}"


def catalogue(
    project: Project, *, today: date, search: str = "", number: str | None = None, kind: str = ""
) -> "Page[Any]":
    """A page of event names, most frequent first, with their counts per day. `number`: as it stands in the address."""
    first = today - timedelta(days=DAYS - 1)
    names = project.event_names.order_by("-count", "name")
    if search:
        names = names.filter(name__icontains=search)
    if kind:
        names = names.filter(kind=kind)
    page: Page[Any] = Paginator(names, NAMES_PER_PAGE).get_page(number)
    counts: dict[int, list[int]] = defaultdict(lambda: [0] * DAYS)
    found = DailyCount.objects.filter(name__in=list(page), day__range=(first, today))
    for name_id, day, count in found.values_list("name_id", "day", "count"):
        counts[name_id][(day - first).days] = count
    page.object_list = [CatalogueRow(name, counts[name.pk]) for name in page]
    return page


def people(project: Project, *, search: str = "", before: int | None = None) -> tuple[list[Person], int | None]:
    """A page of people, newest first, and the key of the next page or None. A search is for exact identifiers."""
    rows: Any = project.people.order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    if search:
        rows = rows.filter(pk__in=_with_identifier(project, search, before))
    found = list(rows[: PEOPLE_PER_PAGE + 1])
    more = len(found) > PEOPLE_PER_PAGE
    return found[:PEOPLE_PER_PAGE], found[PEOPLE_PER_PAGE - 1].pk if more else None


def _with_identifier(project: Project, value: str, before: int | None) -> list[int]:
    """Keys of those with this identity, CleverTap ID, email or phone, each looked up in an index of its own; a page.

    A condition with OR would read all people, and a subquery may make PostgreSQL go through them by their keys.
    Identities are found through `Identifier`, which has all of them.
    """
    top = MAX_KEY if before is None else before
    known = Identifier.objects.filter(project=project, kind__in=Identifier.Kind.values, value=value, person__lt=top)
    columns = ({"clevertap_id": value}, {"email__iexact": value}, {"phone": value})
    by_column = [project.people.filter(pk__lt=top, **column).values_list("pk") for column in columns]
    keys = known.values_list("person").union(*by_column).order_by("-person")
    return [key for (key,) in keys[: PEOPLE_PER_PAGE + 1]]
