"""Rows for tests. Traits name a state: ExportFactory(recurring=True, stopped=True)."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from amplitude_client import WHY_HELD
from amplitude_client.named import THROTTLE_SECONDS
from events.models import Event, EventName, Person
from exports.models import Axis, Export, Held, Rejected, Run, Shard, Skipped
from exports.runs import frozen_settings
from exports_portal.common.audit import Actor
from partners.models import Integration
from projects.credentials import create_credential
from projects.models import Credential, Membership, Project, Role, User
from sources.models import Source

API_KEY = "3f9c1e07a5d24b68c0b1d2e3f4a5b6c7"
PASSWORD = "correct horse battery staple"
TESTS = Actor(None, "tests")


class ProjectFactory(DjangoModelFactory):
    class Meta:
        model = Project

    name = factory.Sequence(lambda n: f"Shop {n}")
    account_id = factory.Sequence(lambda n: f"TST-{n:03}-0000")
    timezone = "Asia/Kolkata"


class UserFactory(DjangoModelFactory):
    """A user who signs in with PASSWORD."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    class Params:
        superuser = factory.Trait(is_staff=True, is_superuser=True)

    email = factory.Sequence(lambda n: f"user{n}@example.com")
    password = factory.django.Password(PASSWORD)


class MembershipFactory(DjangoModelFactory):
    class Meta:
        model = Membership

    project = factory.SubFactory(ProjectFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.ADMIN


class IntegrationFactory(DjangoModelFactory):
    class Meta:
        model = Integration

    class Params:
        disconnected = factory.Trait(disconnected_at=factory.LazyFunction(timezone.now), secrets={})

    project = factory.SubFactory(ProjectFactory)
    partner = "amplitude"
    nickname = factory.Sequence(lambda n: f"Amplitude {n}")
    settings = factory.LazyFunction(
        lambda: {"data_residency": "europe", "device_id_mapping": "clevertap_id", "user_id_mapping": "identity"}
    )
    secrets = factory.LazyFunction(lambda: {"api_key": API_KEY})
    key_hint = API_KEY[-4:]
    created_at = factory.LazyFunction(timezone.now)
    updated_at = factory.SelfAttribute("created_at")


class ExportFactory(DjangoModelFactory):
    """A PENDING one-time export of yesterday, without runs."""

    class Meta:
        model = Export

    class Params:
        recurring = factory.Trait(
            frequency="recurring",
            date_from=None,
            date_to=None,
            every_hours=24,
            start_date=factory.LazyAttribute(lambda row: row.created_at.astimezone(row.project.tz).date()),
            next_run_at=factory.LazyAttribute(lambda row: row.created_at + timedelta(hours=12)),
        )
        live = factory.Trait(
            frequency="live",
            date_from=None,
            date_to=None,
            next_run_at=factory.LazyAttribute(lambda row: row.created_at + timedelta(hours=12)),
        )
        running = factory.Trait(status="RUNNING")
        done = factory.Trait(status="DONE", next_run_at=None)
        stopped = factory.Trait(status="STOPPED", next_run_at=None)

    project = factory.SubFactory(ProjectFactory)
    integration = factory.SubFactory(IntegrationFactory, project=factory.SelfAttribute("..project"))
    frequency = "one_time"
    created_at = factory.LazyFunction(timezone.now)
    updated_at = factory.SelfAttribute("created_at")
    exported_on = factory.SelfAttribute("created_at")
    captured_from = factory.SelfAttribute("created_at")
    next_tx_id = 0
    date_from = factory.LazyAttribute(lambda row: _yesterday(row.project, row.created_at))
    date_to = factory.SelfAttribute("date_from")


class RunFactory(DjangoModelFactory):
    """A run over its export's day, with one shard. Counts go to the shard: RunFactory(counts={"delivered": 3})."""

    class Meta:
        model = Run
        skip_postgeneration_save = True

    class Params:
        running = factory.Trait(status="RUNNING", started_at=factory.SelfAttribute("created_at"))
        done = factory.Trait(
            status="DONE",
            reading=False,
            started_at=factory.SelfAttribute("created_at"),
            finished_at=factory.LazyAttribute(lambda row: row.created_at + timedelta(minutes=1)),
        )

    export = factory.SubFactory(ExportFactory)
    integration = factory.SelfAttribute("export.integration")
    sequence = factory.LazyAttribute(lambda row: row.export.runs.count() + 1)
    axis = Axis.TIME
    window_start = factory.LazyAttribute(lambda row: row.created_at - timedelta(days=1))
    window_end = factory.SelfAttribute("created_at")
    until_tx_id = 0
    settings = factory.LazyAttribute(lambda row: frozen_settings(row.export))
    created_at = factory.LazyAttribute(lambda row: row.export.created_at)

    @factory.post_generation
    def counts(self: Any, create: bool, given: dict[str, int] | None, **_: Any) -> None:
        values = given or {}
        settled = ("delivered", "rejected", "held", "skipped")
        read = sum(values.get(name, 0) for name in settled)
        is_open = self.status in ("PENDING", "RUNNING")
        Shard.objects.create(run=self, index=0, of=1, open=is_open, reading=self.reading, read=read, **values)


class RejectedFactory(DjangoModelFactory):
    class Meta:
        model = Rejected

    run = factory.SubFactory(RunFactory, done=True)
    shard = factory.LazyAttribute(lambda row: row.run.shards.get())
    record_id = factory.Sequence(lambda n: n + 1)
    reason = "id_too_short"
    field = "user_id"
    message = "The user_id has fewer than 5 characters."
    cure = "Send a longer identity."
    payload = '{"event_type": "Searched", "user_id": "abc"}'
    created_at = factory.LazyFunction(timezone.now)


class HeldFactory(DjangoModelFactory):
    """A held record. The count stands on the shard: RunFactory(counts={"held": 1})."""

    class Meta:
        model = Held

    class Params:
        run = None

    export = factory.SelfAttribute("shard.run.export")
    shard = factory.LazyAttribute(lambda row: row.run.shards.get())
    record_id = factory.Sequence(lambda n: n + 1)
    ids = factory.LazyAttribute(lambda row: [f"u:customer-{row.record_id}"])
    not_before = factory.LazyFunction(lambda: timezone.now() + timedelta(seconds=12))
    message = WHY_HELD[THROTTLE_SECONDS]


class SkippedFactory(DjangoModelFactory):
    class Meta:
        model = Skipped

    run = factory.SubFactory(RunFactory, done=True)
    shard = factory.LazyAttribute(lambda row: row.run.shards.get())
    record_id = factory.Sequence(lambda n: n + 1)
    reason = "no_identifier"


class EventNameFactory(DjangoModelFactory):
    class Meta:
        model = EventName

    project = factory.SubFactory(ProjectFactory)
    name = factory.Sequence(lambda n: f"Product Viewed {n}")
    kind = "custom"
    first_seen_at = factory.LazyFunction(timezone.now)


class PersonFactory(DjangoModelFactory):
    class Meta:
        model = Person

    project = factory.SubFactory(ProjectFactory)
    clevertap_id = factory.Sequence(lambda n: f"__device{n:010}")
    identity = factory.Sequence(lambda n: f"customer-{n}")
    created_at = factory.LazyFunction(timezone.now)
    changed_at = factory.SelfAttribute("created_at")


class EventFactory(DjangoModelFactory):
    """A row of the log for pages that only show it. Tests of delivery capture through events.ingest."""

    class Meta:
        model = Event

    project = factory.SubFactory(ProjectFactory)
    name = factory.SubFactory(EventNameFactory, project=factory.SelfAttribute("..project"))
    person = factory.SubFactory(PersonFactory, project=factory.SelfAttribute("..project"))
    uid = factory.LazyFunction(uuid.uuid4)
    tx_id = 1
    received_at = factory.LazyFunction(timezone.now)
    occurred_at = factory.SelfAttribute("received_at")
    identity = factory.SelfAttribute("person.identity")
    clevertap_id = factory.SelfAttribute("person.clevertap_id")
    lane = 0
    properties = factory.LazyFunction(lambda: {"Item": "Chai ☕"})


def token_for(project: Project) -> str:
    """A new token of the REST API."""
    return _credential(project, Credential.Kind.API_TOKEN)


def passcode_for(project: Project) -> str:
    """A new passcode of the CleverTap API."""
    return _credential(project, Credential.Kind.PASSCODE)


def _credential(project: Project, kind: str) -> str:
    return create_credential(project=project, kind=kind, by=TESTS, now=datetime.now(UTC))[1]


def _yesterday(project: Project, now: datetime) -> date:
    return now.astimezone(project.tz).date() - timedelta(days=1)


class SourceFactory(DjangoModelFactory):
    """An account at CleverTap whose events of today are imported."""

    class Meta:
        model = Source

    project = factory.SubFactory(ProjectFactory)
    account_id = "ABC-DEF-GHIJ"
    passcode = "OLS-ABC-1234-of-clevertap"
    passcode_hint = "rtap"
    region = "in1"
    date_from = factory.LazyFunction(lambda: datetime.now(UTC).date())
    created_at = factory.LazyFunction(timezone.now)
    timezone = "UTC"
    events = ("App Launched",)
