"""What the pages show of sources: how far each is, by event and by day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, Max, Q, Sum, When

from projects.models import Project
from sources.models import Pull, Source

LAST_PULLS = 30
_COUNTS = {
    "days": Count("pk"),
    "over": Count("pk", filter=~Q(state=Pull.State.WAITING)),
    "read": Sum("read", default=0),
    "captured": Sum("captured", default=0),
    "known": Sum("known", default=0),
    "refused": Sum("refused", default=0),
    "error": Max("error"),
}


@dataclass(frozen=True)
class Progress:
    """A source and its counts over all days and events."""

    source: Source
    days: int
    over: int
    captured: int

    @property
    def percent(self) -> int:
        return 100 * self.over // self.days if self.days else 100

    @property
    def state(self) -> str:
        """STOPPED, FAULT, RUNNING, PENDING (waiting for the next day) or DONE."""
        if self.source.stopped_at:
            return "STOPPED"
        if self.source.fault:
            return "FAULT"
        if self.over < self.days:
            return "RUNNING"
        return "PENDING" if self._goes_on else "DONE"

    @property
    def _goes_on(self) -> bool:
        wanted, planned = self.source.date_to, self.source.planned_to
        return wanted is None or planned is None or planned < wanted


def all_of(project: Project) -> list[Progress]:
    """Newest first, in two questions."""
    return of_all(list(Source.objects.filter(project=project).order_by("-pk")))


def of_all(sources: Sequence[Source]) -> list[Progress]:
    """In the same order, in one question."""
    found = Pull.objects.filter(source__in=sources).values("source").annotate(**_COUNTS).order_by()
    counts: dict[int, Any] = {row["source"]: row for row in found}
    return [_progress(source, counts.get(source.pk)) for source in sources]


def of(source: Source) -> Progress:
    return _progress(source, source.pulls.aggregate(**_COUNTS))


def _progress(source: Source, row: Any) -> Progress:
    return Progress(source, row["days"], row["over"], row["captured"]) if row else Progress(source, 0, 0, 0)


def by_event(source: Source) -> Iterable[Any]:
    """Counts of each event name."""
    return source.pulls.values("name").annotate(**_COUNTS).order_by("name")


def last_pulls(source: Source) -> Iterable[Pull]:
    """The one that is being read, and those that were read last."""
    begun = source.pulls.filter(~Q(state=Pull.State.WAITING) | ~Q(cursor="") | ~Q(error=""))
    being_read_first = Case(When(state=Pull.State.WAITING, then=0), default=1)
    return begun.order_by(being_read_first, "-finished_at", "-day", "name")[:LAST_PULLS]


def waits_until(source: Source, *, now: datetime) -> datetime | None:
    """When it goes on by itself; None when it does not wait."""
    return source.not_before if source.not_before and source.not_before > now and source.last_error else None
