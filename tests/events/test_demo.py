"""The demo shop: the same for the same seed, loaded once and whole, and like a real app's data."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command

from events.demo.days import records_by_day
from events.demo.load import LOADING, load
from events.ingest import read_records
from events.models import Event, EventName, Person
from projects.actions import DEMO_PROJECT, create_project
from projects.models import Project
from tests.events.capture import NOW, capture, event
from tests.factories import TESTS

SMALL = {"seed": 7, "events": 3_000, "people": 150, "days": 12}
TZ = ZoneInfo("Asia/Kolkata")


def days(**changes: Any) -> list[list[dict[str, Any]]]:
    return list(records_by_day(**{**SMALL, "tz": TZ, "now": NOW, **changes}))


def test_a_seed_always_makes_the_same_shop() -> None:
    assert days() == days()
    assert days() != days(seed=8)


def test_every_record_is_acceptable() -> None:
    records = [record for day in days() for record in day]
    assert read_records(records, now=NOW)[1] == []


def test_it_looks_like_an_app_in_use() -> None:
    records = [record for day in days() for record in day if record["type"] == "event"]
    names = Counter(record["evtName"] for record in records)
    assert 2_500 < len(records) < 3_500
    assert {"App Launched", "App Installed", "Session Concluded", "UTM Visited"} <= set(names)
    assert {"Notification Sent", "Notification Viewed", "Push Impressions", "Control Group"} <= set(names)
    assert {"Product Viewed", "Searched", "Added To Cart", "Charged"} <= set(names)
    charged = next(record["evtData"] for record in records if record["evtName"] == "Charged")
    assert charged["Amount"] == sum(item["Price"] * item["Quantity"] for item in charged["Items"])
    text = repr(records)
    assert all(word in text for word in ("☕", "चाय", "抹茶", "زيت"))
    assert any("identity" not in record for record in records)


def test_it_covers_the_days_up_to_now_and_follows_the_hours() -> None:
    events = [record for day in days(events=20_000) for record in day if record["type"] == "event"]
    times = [datetime.fromtimestamp(record["ts"], TZ) for record in events]
    assert NOW - timedelta(days=12) < min(times) < NOW - timedelta(days=11)
    assert NOW - timedelta(hours=1) < max(times) <= NOW
    hours = Counter(time.hour for time in times if time.date() < NOW.date())
    assert hours[20] > 3 * hours[4]


@pytest.mark.django_db(transaction=True)
def test_it_is_loaded_once() -> None:
    for _ in range(2):
        call_command("load_demo", **SMALL)
    project = Project.objects.get()
    events = Event.objects.filter(project=project)
    assert (project.name, project.timezone) == (DEMO_PROJECT, "Asia/Kolkata")
    assert sum(EventName.objects.values_list("count", flat=True)) == events.count() > 2_000
    assert all(received == occurred for received, occurred in events.values_list("received_at", "occurred_at"))
    assert Person.objects.filter(email__isnull=False, phone__isnull=False).exists()
    assert Person.objects.filter(identity=None).exists()


@pytest.mark.django_db(transaction=True)
def test_what_an_interrupted_load_left_is_replaced() -> None:
    leftover = create_project(name=LOADING, timezone="UTC", by=TESTS, now=NOW).project
    capture(leftover, event())
    project = load(**SMALL, now=NOW)
    assert Project.objects.get() == project
    assert set(Event.objects.values_list("project_id", flat=True)) == {project.pk}
    assert load(**SMALL, now=NOW) is None


@pytest.mark.django_db(transaction=True)
def test_a_failure_in_between_leaves_no_half_demo_project() -> None:
    def fail(records: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(**SMALL, now=NOW, progress=fail)
    assert not Project.objects.filter(name=DEMO_PROJECT).exists()
