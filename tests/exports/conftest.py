"""A project with an Amplitude integration, a sandbox behind it, and delivery in this very process."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from amplitude_client.sandbox import Sandbox
from events.ingest import ingest
from exports import actions, tick
from exports.delivery import worker
from exports.models import Export, Shard
from exports.spec import ExportSpec, spec_of
from exports_portal.common import bells, heartbeat
from exports_portal.common.audit import Actor
from partners.actions import create_integration
from partners.models import Integration
from projects.models import Project

KEY = "0123456789abcdef0123456789abcdef"
ANN = Actor(None, "ann@example.com")


def now() -> datetime:
    return datetime.now(UTC)


def today(project: Project) -> date:
    return now().astimezone(project.tz).date()


@pytest.fixture
def sandbox(settings) -> Iterator[Sandbox]:
    with Sandbox() as server:
        settings.AMPLITUDE_EU_URL, settings.AMPLITUDE_STANDARD_URL = server.eu_url, server.standard_url
        yield server


@pytest.fixture
def project(transactional_db) -> Project:
    """Real commits: the horizon never passes a transaction of one's own. And no bells of the tests before."""
    with heartbeat.connect() as redis:
        redis.delete("tick", *bells.SHARD_QUEUES)
    with connection.cursor() as cursor:  # flushing between tests empties this table too
        cursor.execute(
            "INSERT INTO events_logbase SELECT 1, 0, system_identifier FROM pg_control_system() ON CONFLICT DO NOTHING"
        )
    return Project.objects.create(account_id="TST-000-0001", name="Shop", timezone="Asia/Kolkata")


@pytest.fixture
def integration(project, sandbox) -> Integration:
    return create_integration(
        project=project, partner="amplitude", nickname="Growth", values={"api_key": KEY}, by=ANN, now=now()
    )


@pytest.fixture
def capture(project) -> Callable[..., list[dict[str, Any]]]:
    """capture(n, name=…, identity=…, **record) uploads n events of an hour ago and returns the records."""

    def upload(count: int = 1, *, name: str = "Product Viewed", people: int = 7, **more: Any) -> list[dict[str, Any]]:
        at = int((now() - timedelta(hours=1)).timestamp())
        records = [
            {
                "type": "event",
                "identity": f"person-{number % people:04}",
                "evtName": name,
                "ts": at + number % 60,
                "evtData": {"Number": number, "Title": "Café ☕ “Ünïcode”"},
                **more,
            }
            for number in range(count)
        ]
        for start in range(0, count, 1000):
            result = ingest(project=project, records=records[start : start + 1000], now=now())
            assert not result.refused
        return records

    return upload


@pytest.fixture
def capture_profiles(project) -> Callable[..., None]:
    """capture_profiles({"person-1": {"City": "Pune", "Plan": None}, …}) uploads one profile update each."""

    def upload(profiles: dict[str, dict[str, Any]]) -> None:
        records = [{"type": "profile", "identity": key, "profileData": data} for key, data in profiles.items()]
        for start in range(0, len(records), 1000):
            result = ingest(project=project, records=records[start : start + 1000], now=now())
            assert not result.refused

    return upload


@pytest.fixture
def one_time(project, integration) -> Callable[..., Export]:
    """one_time(events=…) creates an export of the last days, one_time(other) to another integration."""

    def create(to: Integration = integration, **more: Any) -> Export:
        last = today(project)
        spec = ExportSpec(to.pk, "one_time", date_from=last - timedelta(days=2), date_to=last, **more)
        return actions.create_export(project=project, spec=spec, by=ANN, now=now())

    return create


@pytest.fixture
def recurring(project, integration) -> Callable[..., Export]:
    """recurring(days_back=…, every_hours=…) creates a recurring export; with days_back < 0 it starts in the future."""

    def create(*, days_back: int = 1, every_hours: int = 12, **more: Any) -> Export:
        start = today(project) - timedelta(days=days_back)
        spec = ExportSpec(integration.pk, "recurring", every_hours=every_hours, start_date=start, **more)
        return actions.create_export(project=project, spec=spec, by=ANN, now=now())

    return create


@pytest.fixture
def profile_export(project, integration) -> Callable[..., Export]:
    """profile_export("live", …) creates an export of user profiles; a recurring one that began yesterday."""

    def create(frequency: str = "one_time", **more: Any) -> Export:
        if frequency == "recurring":
            more = {"every_hours": 24, "start_date": today(project) - timedelta(days=1), **more}
        spec = ExportSpec(integration.pk, frequency, type="user_profiles", **more)
        return actions.create_export(project=project, spec=spec, by=ANN, now=now())

    return create


@pytest.fixture
def live(project, integration) -> Callable[..., Export]:
    """live(events=…) creates a live export."""

    def create(**more: Any) -> Export:
        spec = ExportSpec(integration.pk, "live", **more)
        return actions.create_export(project=project, spec=spec, by=ANN, now=now())

    return create


def edit(export: Export, *, version: int | None = None, **changes: Any) -> Export:
    """Change some fields of an export as somebody who sees its present state would."""
    export.refresh_from_db()
    spec = replace(spec_of(export), **changes)
    return actions.edit_export(export=export, spec=spec, version=version, by=ANN, now=now())


def people(count: int, **data: Any) -> dict[str, dict[str, Any]]:
    """Profile data by identity, for capture_profiles."""
    return {f"person-{number:04}": {"Number": number, **data} for number in range(count)}


def work_once(export: Export) -> None:
    """One slice of each open shard."""
    for shard in Shard.objects.filter(run__export=export, open=True):
        worker.work(shard.pk)


def deliver(export: Export, *, slices: int = 50) -> Export:
    """Tick and work until nothing of the export is open."""
    for _ in range(slices):
        tick.tick(now=now())
        work_once(export)
        if not Shard.objects.filter(run__export=export, open=True).exists():
            break
    return Export.objects.with_counts().get(pk=export.pk)


def flow(export: Export, *, rounds: int = 5) -> Export:
    """Tick and work until every shard of the export rests."""
    for _ in range(rounds):
        tick.tick(now=now())
        for shard in Shard.objects.filter(run__export=export, open=True, idle=False):
            worker.work(shard.pk)
    assert not Shard.objects.filter(run__export=export, open=True, idle=False).exists()
    return Export.objects.with_counts().get(pk=export.pk)


def unique(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What Amplitude would keep: the accepted events without repeats."""
    return [record["event"] for record in sandbox.events() if not record["duplicate"]]


def by_user(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """The last of these for each user."""
    return {event["user_id"]: event for event in unique(sandbox)}


def skip_waits(export: Export) -> None:
    """Let backoff and holds of an export end now."""
    from exports.models import Held

    Shard.objects.filter(run__export=export).update(not_before=now() - timedelta(seconds=1))
    Held.objects.filter(export=export).update(not_before=now() - timedelta(seconds=1))


def send(project: Project, *records: dict[str, Any]) -> None:
    at = int((now() - timedelta(hours=1)).timestamp())
    timed = [{"ts": at + place, **record} for place, record in enumerate(records)]
    assert not ingest(project=project, records=timed, now=now()).refused


def opened(name: str, **who: Any) -> dict[str, Any]:
    return {"type": "event", "evtName": name, **who}


def check(capsys, *arguments: str) -> tuple[int, str]:
    """The exit code and what was printed."""
    capsys.readouterr()
    try:
        call_command("check_ledger", *arguments)
    except SystemExit as ended:
        return int(ended.code), capsys.readouterr().out
    return 0, capsys.readouterr().out
