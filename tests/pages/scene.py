"""A project as on the pictures of the design: integrations, exports in every state, runs, events."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from amplitude_client import WHY_HELD
from amplitude_client.named import QUOTA_SECONDS, THROTTLE_SECONDS
from events.models import DailyCount, Identifier, PropertySeen, RefusedUpload
from events.refusals import TIMESTAMP_TEXT
from exports import schedule
from exports.models import Export
from notifications import actions as notifications
from notifications.actions import News
from projects.models import Project, Role
from sources.actions import create_source
from sources.models import Source
from sources.spec import SourceSpec
from tests.factories import (
    TESTS,
    EventFactory,
    EventNameFactory,
    ExportFactory,
    HeldFactory,
    IntegrationFactory,
    MembershipFactory,
    PersonFactory,
    ProjectFactory,
    RejectedFactory,
    RunFactory,
    UserFactory,
    passcode_for,
)

NAMES = {
    "App Launched": ("system", 812_004),
    "Product Viewed": ("custom", 402_118),
    "Notification Viewed": ("engagement", 240_511),
    "Added To Cart": ("custom", 88_214),
    "Charged": ("system", 31_870),
    "Searched": ("custom", 29_406),
}
INVALID = {
    "reason": "invalid_field",
    "field": "event_properties",
    "message": "Amplitude does not accept the value of “event_properties” in this event.",
    "cure": "Mend the value in your app, then send the event again.",
    "payload": '{"event_type":"Charged","user_id":"customer-1842","event_properties":{"Amount":"₹ 4 99","Items":[]}}',
}
# What the form of a new export sends, but for its integration.
PANEL = {
    "name": "",
    "events": "all",
    "identifier_priority_0": "identity",
    "identifier_priority_1": "email",
    "identifier_priority_2": "phone",
    "excluded_properties": "",
    "frequency": "one_time",
    "preset": "last_7",
    "every_hours": "24",
    "start_date": "",
}
RUNS = (600, 910, 820, 1190, 660, 580, 1050, 1380, 1320, 900, 790, 720, 1120, 1200, 990, 890, 1350, 1500, 1080, 970)


def paint(email: str) -> tuple[Project, dict[str, str]]:
    """Make it; the pages to look at, by name."""
    now = datetime.now(UTC)
    project = ProjectFactory(name="Kirana Mobile · Live")
    MembershipFactory(project=project, user=UserFactory(email=email, superuser=True), role=Role.ADMIN)
    MembershipFactory(project=project, user=UserFactory(email="ravi@example.com"), role=Role.VIEWER)
    passcode_for(project)
    growth = _integration(project, "Growth analytics", "europe", "9f3c", tested_at=now, test_ok=True)
    campaigns = _integration(project, "Campaign attribution", "standard", "77ab")
    _events(project, now)
    running = _exports(project, growth, campaigns, now)
    _notifications(project, running, now)
    source = _source(project, now)
    partners, exports = "/settings/partners/", "/settings/partners/exports/"
    pages = {
        "partners": partners,
        "integrate-panel": f"{partners}amplitude/new/",
        "integration-edit": f"{partners}integrations/{growth.pk}/edit/",
        "exports": exports,
        "exports-filtered": f"{exports}?status=RUNNING&status=PENDING&exported_on_after=2026-11-01",
        "export-panel": f"{exports}new/amplitude/",
        "export-edit": f"{exports}{running.pk}/edit/",
        "export-stop": f"{exports}{running.pk}/stop/",
        "export-view": f"{exports}{running.pk}/",
        "export-rejected": f"{exports}{running.pk}/?tab=rejected",
        "export-skipped": f"{exports}{running.pk}/?tab=skipped",
        "export-payload": f"{exports}{running.pk}/?tab=payload",
        "export-history": f"{exports}{running.pk}/?tab=history",
        "export-settings": f"{exports}{running.pk}/?tab=settings",
        "export-live": f"{exports}{project.exports.get(frequency='live').pk}/",
        "export-profiles": f"{exports}{project.exports.get(type='user_profiles').pk}/",
        "export-profiles-edit": f"{exports}{project.exports.get(type='user_profiles').pk}/edit/",
        "events": "/events/",
        "profiles": "/profiles/",
        "profile": f"/profiles/{project.people.latest('pk').pk}/",
        "schema": "/settings/schema/",
        "schema-name": f"/settings/schema/{project.event_names.get(name='Charged').pk}/",
        "stream": "/settings/schema/stream/",
        "sources": "/settings/project/sources/",
        "source": f"/settings/project/sources/{source.pk}/",
        "source-new": "/settings/project/sources/new/",
        "project": "/settings/project/",
        "audit": "/settings/project/audit/",
        "credential": "/settings/project/credentials/new/",
        "team": "/settings/team/",
        "team-invite": "/settings/team/invite/",
        "notifications": "/settings/notifications/",
        "webhook": "/settings/notifications/webhook/",
    }
    return project, pages


def _notifications(project: Project, running: Export, now: datetime) -> None:
    save: dict[str, Any] = {"kinds": ["failing", "stopped"], "emails": ["ops@example.com"], "rejected_percent": 5}
    notifications.save_preferences(project=project, **save, empty_windows=3, lag_minutes=5, by=TESTS, now=now)
    notifications.set_webhook(project=project, url="https://hooks.example.com/portal", by=TESTS, now=now)
    text = "The API key is invalid. Enter the key of the Amplitude project under Partners."
    news = News("failing", f"“{running.label}” cannot send", text=text, exports=[running.pk])
    notifications.notify(project=project, news=news, now=now)


def _integration(project: Project, nickname: str, residency: str, key_hint: str, **extra: Any) -> Any:
    settings = {"data_residency": residency, "device_id_mapping": "clevertap_id", "user_id_mapping": "identity"}
    return IntegrationFactory(project=project, nickname=nickname, settings=settings, key_hint=key_hint, **extra)


def _source(project: Project, now: datetime) -> Source:
    """An import under way that waits for CleverTap."""
    names, first = ["App Launched", "Charged", "Notification Sent"], (now - timedelta(days=9)).date()
    spec = SourceSpec("KRN-MBL-774Z", "in1", "Asia/Kolkata", names, first, passcode="OLS-ABC-1234-passcode")
    source: Source = create_source(project=project, spec=spec, by=TESTS, now=now)
    Source.objects.update(not_before=now + timedelta(minutes=4), last_error="CleverTap could not be reached.")
    refused = source.pulls.filter(name="Notification Sent")
    refused.update(state="refused", error="CleverTap does not offer this event: Export not allowed for this event.")
    read = source.pulls.filter(day__lt=(now - timedelta(days=5)).date(), state="waiting")
    read.update(state="done", read=4_800, captured=4_788, known=10, refused=2)
    return source


def _events(project: Project, now: datetime) -> None:
    today = now.astimezone(project.tz).date()
    names = [
        EventNameFactory(
            project=project, name=name, kind=kind, count=count, last_seen_at=now - timedelta(minutes=place)
        )
        for place, (name, (kind, count)) in enumerate(NAMES.items())
    ]
    for place, name in enumerate(names):
        for back in range(14):
            count = RUNS[(place * 3 + back) % len(RUNS)]
            DailyCount.objects.create(name=name, day=today - timedelta(days=back), count=count)
    for key, kind, count in (("Amount", "number", 31_812), ("Amount", "string", 58), ("Item", "string", 31_870)):
        PropertySeen.objects.create(
            name=project.event_names.get(name="Charged"), key=key, type=kind, count=count, last_seen_at=now
        )
    for code, error in ((515, "Profile data is incorrect. Email is not valid."), (525, TIMESTAMP_TEXT)):
        record = (
            '{"type": "profile", "identity": "asha-rao", "profileData": {"Email": "asha at example"}, "ts": "soon"}'
        )
        RefusedUpload.objects.create(project=project, received_at=now, code=code, error=error, record=record)
    for place in range(12):
        moment = now - timedelta(seconds=7 * place)
        person = PersonFactory(
            project=project, name="Asha Rao", email=f"asha{place}@example.com", phone="+919800000000"
        )
        for kind, value in (("identity", person.identity), ("device", person.clevertap_id)):
            Identifier.objects.create(project=project, kind=kind, value=value, person=person)
        EventFactory(
            project=project,
            name=names[place % len(names)],
            person=person,
            received_at=moment,
            properties={"Amount": 499, "Item": "Café crème"},
        )


def _exports(project: Project, growth: Any, campaigns: Any, now: datetime) -> Any:
    stopped = ExportFactory(
        project=project, integration=campaigns, name="Trial sync", recurring=True, every_hours=4, stopped=True,
        created_at=now - timedelta(days=3), stopped_by=project.memberships.get(role=Role.ADMIN).user,
    )  # fmt: skip
    RunFactory(export=stopped, done=True, counts={"delivered": 88_214})
    done = ExportFactory(
        project=project, integration=growth, name="October backfill", done=True, events="selected",
        selected_events=["Charged", "Product Viewed", "Searched", "App Launched", "Added To Cart"],
        date_from=date(2026, 10, 1), date_to=date(2026, 10, 31), created_at=now - timedelta(days=2),
    )  # fmt: skip
    backfill = RunFactory(export=done, done=True, estimate=9_120_458, counts={"delivered": 9_120_446, "rejected": 12})
    for _ in range(12):
        RejectedFactory(run=backfill)
    waiting = ExportFactory(
        project=project, integration=growth, name="User traits", recurring=True, type="user_profiles",
        created_at=now - timedelta(hours=9),
    )  # fmt: skip
    RunFactory(export=waiting, done=True, counts={"delivered": 402_118})
    _streaming(project, campaigns, now)
    return _running(project, growth, now)


def _streaming(project: Project, campaigns: Any, now: datetime) -> None:
    """A live export that Amplitude holds up a little."""
    export = ExportFactory(
        project=project, integration=campaigns, live=True, running=True, created_at=now - timedelta(hours=20)
    )
    hour = schedule.local_hour(now, project.tz)
    hours = {
        (hour - timedelta(hours=back)).isoformat(): [count, count // 40] for back, count in enumerate(reversed(RUNS))
    }
    counts = {"delivered": sum(RUNS), "rejected": sum(count // 40 for count in RUNS), "hours": hours}
    RunFactory(
        export=export, running=True, axis="position", window_end=export.created_at, until_tx_id=None, counts=counts,
    )  # fmt: skip


def _running(project: Project, growth: Any, now: datetime) -> Any:
    start = (now - timedelta(days=10)).date()
    midnight = now.astimezone(project.tz).replace(hour=0, minute=0, second=0, microsecond=0)
    export = ExportFactory(
        project=project, integration=growth, recurring=True, every_hours=12, running=True, start_date=start,
        created_at=now, next_run_at=now + timedelta(hours=5),
    )  # fmt: skip
    for place, thousands in enumerate(RUNS):
        begin = midnight - timedelta(hours=12 * (len(RUNS) - place))
        RunFactory(
            export=export, done=True, window_start=begin, window_end=begin + timedelta(hours=12), created_at=begin,
            estimate=thousands * 1000, counts={"delivered": thousands * 1000, "takeovers": int(place == 18)},
        )  # fmt: skip
    latest = RunFactory(
        export=export, running=True, window_start=midnight, window_end=midnight + timedelta(hours=12),
        created_at=now - timedelta(seconds=131), estimate=2_070_000,
        counts={"delivered": 1_284_300, "rejected": 12, "held": 20, "skipped": 8, "in_flight": 2000},
    )  # fmt: skip
    for place in range(12):
        RejectedFactory(run=latest, **(INVALID if place % 4 == 1 else {}))
    for place in range(20):
        HeldFactory(
            run=latest,
            not_before=now + (timedelta(minutes=2) if place < 16 else timedelta(hours=1)),
            message=WHY_HELD[THROTTLE_SECONDS if place < 16 else QUOTA_SECONDS],
        )
    return export
