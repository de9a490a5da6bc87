"""What the Events and User profiles pages show: the catalogue with its last days, and people."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Q

from events.models import DailyCount, EventName, Person
from projects.models import Project

DAYS = 14
PEOPLE_PER_PAGE = 20


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


def catalogue(project: Project, *, today: date, search: str = "") -> list[CatalogueRow]:
    """Event names, most frequent first, with their counts per day."""
    first = today - timedelta(days=DAYS - 1)
    names = project.event_names.order_by("-count", "name")
    if search:
        names = names.filter(name__icontains=search)
    counts: dict[int, list[int]] = defaultdict(lambda: [0] * DAYS)
    found = DailyCount.objects.filter(name__project=project, day__range=(first, today))
    for name_id, day, count in found.values_list("name_id", "day", "count"):
        counts[name_id][(day - first).days] = count
    return [CatalogueRow(name, counts[name.pk]) for name in names]


def people(project: Project, *, search: str = "", before: int | None = None) -> tuple[list[Person], int | None]:
    """A page of people, newest first, and the key of the next page or None. A search is for exact identifiers."""
    rows: Any = project.people.order_by("-pk")
    if search:
        exact = Q(identity=search) | Q(email__iexact=search) | Q(phone=search) | Q(clevertap_id=search)
        rows = rows.filter(exact | Q(identifiers__value=search)).distinct()
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: PEOPLE_PER_PAGE + 1])
    more = len(found) > PEOPLE_PER_PAGE
    return found[:PEOPLE_PER_PAGE], found[PEOPLE_PER_PAGE - 1].pk if more else None
