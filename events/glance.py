"""What the Events and User profiles pages show: the catalogue with its last days, and people."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

from events import store
from events.models import DailyCount, EventName, Identifier, Person
from projects.models import Project

DAYS = 14
NAMES_PER_PAGE = 50
PEOPLE_PER_PAGE = 20
MOST_FOUND = 1_000
LAST_OF_PERSON = 20
EARLIER = 10
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
    rows = found(project, search, before=before, limit=PEOPLE_PER_PAGE + 1)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    page = list(rows[: PEOPLE_PER_PAGE + 1])
    more = len(page) > PEOPLE_PER_PAGE
    return page[:PEOPLE_PER_PAGE], page[PEOPLE_PER_PAGE - 1].pk if more else None


def found(project: Project, search: str, *, before: int | None = None, limit: int = MOST_FOUND) -> QuerySet[Person]:
    """All people, newest first, or those with this identity, CleverTap ID, email or phone: the newest `limit`."""
    rows = project.people.order_by("-pk")
    return rows.filter(pk__in=_with_identifier(project, search, before, limit)) if search else rows


def earlier(person: Person) -> QuerySet[Person]:
    """Devices that were anonymous before this person logged in on them; the first EARLIER of them."""
    return person.earlier.order_by("pk")[:EARLIER]


def last_events(person: Person) -> list[store.EventRow]:
    """The newest among the project's last store.RECENT events, LAST_OF_PERSON at most."""
    return store.latest(person.project_id, LAST_OF_PERSON, person_id=person.pk)


def _with_identifier(project: Project, value: str, before: int | None, limit: int) -> list[int]:
    """Keys of those with this identity, CleverTap ID, email or phone, each looked up in an index of its own.

    A condition with OR would read all people, and a subquery may make PostgreSQL go through them by their keys.
    Identities are found through `Identifier`, which has all of them.
    """
    top = MAX_KEY if before is None else before
    known = Identifier.objects.filter(project=project, kind__in=Identifier.Kind.values, value=value, person__lt=top)
    columns = ({"clevertap_id": value}, {"email__iexact": value}, {"phone": value})
    by_column = [project.people.filter(pk__lt=top, **column).values_list("pk") for column in columns]
    keys = known.values_list("person").union(*by_column).order_by("-person")
    return [key for (key,) in keys[:limit]]
