"""Loading the made-up shop through `ingest`, the only writer."""

from collections.abc import Callable
from datetime import datetime
from itertools import islice

from django.db import connection

from events import rollup
from events.demo.days import records_by_day
from events.ingest import ingest
from events.models import Event, ProfileChange
from exports_portal.common.audit import PORTAL
from projects.actions import DEMO_PROJECT, create_project
from projects.models import Project

TIMEZONE = "Asia/Kolkata"
LOADING = f"{DEMO_PROJECT} (loading)"
STEP_RECORDS = 1_000
PURGE_ROWS = 10_000


def load(
    *,
    seed: int,
    events: int,
    people: int,
    days: int,
    now: datetime,
    progress: Callable[[int], None] = lambda records: None,
) -> Project | None:
    """Make the demo project with all its records; None when it is there already.

    It bears another name until everything is in it: what an interrupted load has left is removed first.
    """
    if Project.objects.filter(name=DEMO_PROJECT).exists():
        return None
    for leftover in Project.objects.filter(name=LOADING):
        _remove(leftover)
    project = create_project(name=LOADING, timezone=TIMEZONE, by=PORTAL, now=now).project
    for day in records_by_day(seed=seed, events=events, people=people, days=days, tz=project.tz, now=now):
        rest = iter(day)
        while records := list(islice(rest, STEP_RECORDS)):
            ingest(project=project, records=records, now=now, captured_at_event_time=True)
            progress(len(records))
    rollup.roll_up_all()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events_event, events_person, events_identifier")
    project.name = DEMO_PROJECT
    project.save(update_fields=["name"])
    return project


def _remove(project: Project) -> None:
    """A project that nobody has seen yet, in transactions that stay short."""
    for log in (Event, ProfileChange):
        while ids := list(log.objects.filter(project=project).values_list("pk", flat=True)[:PURGE_ROWS]):
            log.objects.filter(pk__in=ids).delete()
    project.delete()
