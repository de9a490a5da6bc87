"""Which days of which events a source reads: all that were asked for and are over in the account's zone."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from sources.models import Pull, Source

GRACE = timedelta(hours=3)  # devices send what happened before midnight a little later
PULLS = 20_000  # the most that may wait


def last_day(source: Source, *, now: datetime) -> date:
    """The last day that is over, with some grace; or the last one wanted."""
    yesterday = (now - GRACE).astimezone(ZoneInfo(source.timezone)).date() - timedelta(days=1)
    return yesterday if source.date_to is None else min(source.date_to, yesterday)


def days_of(source: Source, *, now: datetime) -> Iterator[date]:
    day, last = source.date_from, last_day(source, now=now)
    while day <= last:
        yield day
        day += timedelta(days=1)


def plan(source: Source, *, now: datetime) -> None:
    """Add the pulls that are missing, and drop those waiting that are not wanted any more. What is done stays done."""
    wanted = source.pulls.filter(name__in=source.events, day__gte=source.date_from)
    if source.date_to is not None:
        wanted = wanted.filter(day__lte=source.date_to)
    source.pulls.filter(state=Pull.State.WAITING).exclude(pk__in=wanted.values("pk")).delete()
    rows = [Pull(source=source, name=name, day=day) for day in days_of(source, now=now) for name in source.events]
    Pull.objects.bulk_create(rows, ignore_conflicts=True, batch_size=5_000)
    Source.objects.filter(pk=source.pk).update(planned_to=last_day(source, now=now))


def plan_due(*, now: datetime) -> None:
    """Plan for each source that lacks its last day; nothing is written where nothing is new."""
    for source in Source.objects.filter(stopped_at=None).defer("passcode"):
        if _lacks_days(source, now=now):
            _plan_locked(source.pk, now=now)


def _lacks_days(source: Source, *, now: datetime) -> bool:
    return source.planned_to is None or source.planned_to < last_day(source, now=now)


@transaction.atomic
def _plan_locked(pk: int, *, now: datetime) -> None:
    """By its row as it is under the lock: it may have been edited since. One that is locked has its turn next time."""
    source = Source.objects.select_for_update(skip_locked=True).filter(pk=pk, stopped_at=None).defer("passcode").first()
    if source is not None and _lacks_days(source, now=now):
        plan(source, now=now)
