"""Which days of which events a source reads: all that were asked for and are over in the account's zone."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet

from exports_portal.common.errors import Invalid
from sources.models import Pull, Source

GRACE = timedelta(hours=3)  # devices send what happened before midnight a little later
PULLS = 20_000  # the most that are added at once by who creates or edits a source


def last_day(source: Source, *, now: datetime) -> date:
    """The last day that is over, with some grace; or the last one wanted."""
    yesterday = (now - GRACE).astimezone(ZoneInfo(source.timezone)).date() - timedelta(days=1)
    return yesterday if source.date_to is None else min(source.date_to, yesterday)


def wanted(source: Source, *, now: datetime) -> QuerySet[Pull]:
    """Its pulls without those of events and days that were removed since."""
    days = (source.date_from, last_day(source, now=now))
    return source.pulls.filter(name__in=source.events, day__range=days)


def plan(source: Source, *, now: datetime) -> None:
    """Drop what waits and is not wanted any more, and add what is missing. What is done stays done. Raises Invalid."""
    kept = wanted(source, now=now)
    unwanted = source.pulls.filter(state=Pull.State.WAITING).exclude(pk__in=kept.values("pk"))
    # What was done before Read again is done once more: its counts tell that events of it were captured.
    unwanted.filter(captured__gt=0, finished_at__isnull=False).update(state=Pull.State.DONE, cursor="")
    unwanted.delete()
    there = set(kept.values_list("name", "day"))
    days = _days(source.date_from, last_day(source, now=now))
    missing = len(days) * len(source.events) - len(there)
    if missing > PULLS:
        many = f"{missing:,} days to read, one for each event, are too many: {PULLS:,} at once are the most."
        raise Invalid({"date_from": [f"{many} Take fewer days or events now, and add the others later."]})
    _add(source, days, there, now=now)


def plan_due(*, now: datetime) -> None:
    """Plan for each source that lacks its last day; nothing is written where nothing is new."""
    for source in Source.objects.filter(stopped_at=None):
        if _lacks_days(source, now=now):
            _plan_locked(source.pk, now=now)


def _lacks_days(source: Source, *, now: datetime) -> bool:
    return source.planned_to is None or source.planned_to < last_day(source, now=now)


@transaction.atomic
def _plan_locked(pk: int, *, now: datetime) -> None:
    """By its row as it is under the lock: it may have been edited since. One that is locked has its turn next time."""
    source = Source.objects.select_for_update(skip_locked=True).filter(pk=pk, stopped_at=None).first()
    if source is not None and _lacks_days(source, now=now):
        first_new = (source.planned_to or date.min) + timedelta(days=1)
        _add(source, _days(max(source.date_from, first_new), last_day(source, now=now)), set(), now=now)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _add(source: Source, days: list[date], there: Collection[tuple[str, date]], *, now: datetime) -> None:
    pairs = [(name, day) for day in days for name in source.events if (name, day) not in there]
    rows = [Pull(source=source, name=name, day=day) for name, day in pairs]
    Pull.objects.bulk_create(rows, ignore_conflicts=True, batch_size=5_000)
    Source.objects.filter(pk=source.pk).update(planned_to=last_day(source, now=now))
