"""This portal's own read API as the other side: what one project holds arrives in another, once and whole."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from django.db import connection
from django.utils import timezone

from events.ingest import ingest
from events.models import Event
from projects.actions import create_project
from projects.models import Project
from sources import actions
from sources.models import Pull, Source
from sources.spec import SourceSpec
from sources.work import work
from tests.events.capture import event, profile, stored
from tests.factories import TESTS, ProjectFactory, passcode_for

pytestmark = pytest.mark.django_db(transaction=True)
ZONE = "America/New_York"
NAMES = ("Product Viewed", "UTM Visited", "Charged")


@pytest.fixture
def there() -> Project:
    return create_project(name="There", timezone=ZONE, by=TESTS, now=timezone.now()).project


def fill(there: Project, now: datetime) -> None:
    """Three days of 1,500 events, many alike."""
    midnight = now.astimezone(ZoneInfo(ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    records = [
        event(
            f"user-{n % 7}",
            NAMES[n % 3],
            objectId=f"__g{n % 7}",
            ts=int((midnight - timedelta(days=1 + n % 3, seconds=-60 * (n % 400))).timestamp()),
            data={"n": n % 11, "utm_source": "google", "Tags": ["a", {"b": 1.5}], "CT App Version": "2.1"},
        )
        for n in range(1_500)
    ]
    people = [profile(f"user-{n}", Name=f"User {n}", Email=f"u{n}@example.com", Plan="Gold") for n in range(7)]
    assert ingest(project=there, records=[*people, *records], now=now).refused == []


def content(project: Project) -> list[Any]:
    rows = ((row.name, row.time_us, row.identity, row.clevertap_id, _sorted(row.properties)) for row in stored(project))
    return sorted(rows)


def _sorted(properties: bytes) -> bytes:
    return orjson.dumps(orjson.loads(properties), option=orjson.OPT_SORT_KEYS)


def read_all(source: Source, now: datetime) -> None:
    for _ in range(10):
        Source.objects.filter(pk=source.pk).update(not_before=None)
        work(source.pk, now=now)
        source.refresh_from_db()
        assert source.fault == ""
        if not source.pulls.filter(state=Pull.State.WAITING).exists():
            return
    raise AssertionError(source.last_error)


def test_all_events_arrive_once_with_their_people(there: Project, live_server: Any, settings: Any) -> None:
    now = datetime.now(UTC)
    fill(there, now)
    settings.CLEVERTAP_URL = live_server.url
    here = ProjectFactory(timezone="Asia/Kolkata")
    today = now.astimezone(ZoneInfo(ZONE)).date()
    source = actions.create_source(
        project=here,
        spec=SourceSpec(
            there.account_id, "us1", ZONE, list(NAMES), today - timedelta(days=3), passcode=passcode_for(there)
        ),
        by=TESTS,
        now=now + timedelta(hours=6),  # yesterday is over by then, at any time of day
    )
    read_all(source, now)
    assert len(content(here)) == 1_500
    assert content(here) == content(there)
    people = {(one.identity, one.name, one.email, one.properties["Plan"]) for one in here.people.all()}
    assert people == {(f"user-{n}", f"User {n}", f"u{n}@example.com", "Gold") for n in range(7)}

    actions.read_again(source=source, by=TESTS, now=now)
    read_all(source, now)
    assert Event.objects.filter(project=here).count() == 1_500
    assert set(source.pulls.values_list("walk", flat=True)) == {2}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT uid) FROM events_event WHERE project_id = %s", [here.pk])
        assert cursor.fetchone() == (1_500,)
