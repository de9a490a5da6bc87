"""The verbs of notifications: what is told, to whom, and what people have seen."""

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Max, QuerySet

from exports_portal.common import audit, bells
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.log_context import request_id
from notifications import webhook
from notifications.models import CHOSEN, Channel, Dispatch, Kind, Notification, Preferences, Seen
from projects import access
from projects.models import Project, Role, User

MOST_EMAILS = 20
TITLE_CHARACTERS = 300
CHANGEABLE = ("kinds", "emails", "rejected_percent", "empty_windows", "lag_minutes")


@dataclass(frozen=True)
class News:
    """What changed. topic: what it is about; path: the page to look at."""

    kind: str
    title: str
    text: str = ""
    topic: str = ""
    path: str = ""
    exports: Sequence[int] = field(default_factory=list)


def preferences_of(project: Project) -> Preferences:
    """Those of the project, or the defaults; not saved then."""
    return _readable().filter(project=project).first() or Preferences(project=project)


@transaction.atomic
def notify(*, project: Project, news: News, now: datetime) -> Notification | None:
    """Tell the project, and send what it wants to get; None when it does not want to hear of this kind."""
    preferences = preferences_of(project)
    if news.kind != Kind.TEST and news.kind not in preferences.kinds:
        return None
    notification = Notification.objects.create(
        project=project,
        uid=uuid.uuid4(),
        kind=news.kind,
        topic=news.topic,
        title=_cut(news.title),
        text=news.text,
        path=news.path,
        exports=list(news.exports),
        created_at=now,
        request_id=request_id(),
    )
    recipients = [(Channel.MAIL, email) for email in preferences.emails]
    recipients += [(Channel.WEBHOOK, preferences.webhook_host)] if preferences.webhook_host else []
    made = Dispatch.objects.bulk_create(
        Dispatch(notification=notification, channel=channel, recipient=recipient, next_try_at=now)
        for channel, recipient in recipients
    )
    for dispatch in made:
        transaction.on_commit(partial(bells.ring_dispatch, dispatch.pk))
    return notification


def _cut(title: str) -> str:
    return title if len(title) <= TITLE_CHARACTERS else f"{title[: TITLE_CHARACTERS - 1]}…"


def is_quiet(*, project: Project, kind: str, topic: str, since: datetime) -> bool:
    """Whether nothing of this kind was told about the topic since then."""
    told = Notification.objects.filter(project=project, kind=kind, topic=topic, created_at__gt=since)
    return not told.exists()


@transaction.atomic
def save_preferences(
    *,
    project: Project,
    kinds: Sequence[str] | None = None,
    emails: Sequence[str] | None = None,
    rejected_percent: int | None = None,
    empty_windows: int | None = None,
    lag_minutes: int | None = None,
    by: Actor,
    now: datetime,
) -> Preferences:
    """What the project hears of, from which limits on, and by mail to whom; what is None stays.

    Raises Invalid, PermissionDenied.
    """
    access.require(by, project, Role.ADMIN)
    preferences = _locked(project)
    before = {name: getattr(preferences, name) for name in CHANGEABLE}
    if kinds is not None:
        preferences.kinds = _known(kinds)
    if emails is not None:
        preferences.emails = list(dict.fromkeys(email.strip().lower() for email in emails if email.strip()))
    limits = {"rejected_percent": rejected_percent, "empty_windows": empty_windows, "lag_minutes": lag_minutes}
    for name, limit in limits.items():
        if limit is not None:
            setattr(preferences, name, limit)
    _check(preferences)
    preferences.save()
    after = {name: getattr(preferences, name) for name in CHANGEABLE}
    audit.record(
        action="notifications.edit",
        by=by,
        now=now,
        project_id=project.pk,
        target=preferences,
        before=before,
        after=after,
    )
    return preferences


def _known(kinds: Sequence[str]) -> list[str]:
    if unknown := set(kinds) - set(CHOSEN):
        raise Invalid({"kinds": [f"“{sorted(unknown)[0]}” is none of: {', '.join(CHOSEN)}."]})
    return [str(kind) for kind in CHOSEN if kind in kinds]


def _check(preferences: Preferences) -> None:
    errors: dict[str, list[str]] = {}
    for email in preferences.emails:
        try:
            validate_email(email)
        except ValidationError:
            errors.setdefault("emails", []).append(f"“{email}” is not an email address.")
    if len(preferences.emails) > MOST_EMAILS:
        errors.setdefault("emails", []).append(f"{MOST_EMAILS} addresses are the most. Use a mailing list.")
    try:
        preferences.clean_fields(exclude=["project", "kinds", "emails", "webhook", "webhook_host"])
    except ValidationError as error:
        errors |= error.message_dict
    if errors:
        raise Invalid(errors)


@transaction.atomic
def set_webhook(*, project: Project, url: str, by: Actor, now: datetime) -> str:
    """Call this address from now on; returns the secret that signs the calls, a new one each time: show it once.

    Raises Invalid for what is no address to call, PermissionDenied.
    """
    access.require(by, project, Role.ADMIN)
    url = url.strip()
    if fault := webhook.fault_of(url):
        raise Invalid({"url": [fault]})
    preferences = _locked(project)
    before, secret = preferences.webhook_host, f"whsec_{secrets.token_urlsafe(32)}"
    preferences.webhook = {"url": url, "secret": secret}
    preferences.webhook_host = (urlsplit(url).hostname or "")[:255]
    preferences.save()
    _record_host(preferences, before, by=by, now=now)
    return secret


@transaction.atomic
def remove_webhook(*, project: Project, by: Actor, now: datetime) -> None:
    """Call nobody any more; harmless when nobody is called. Calls that still wait are given up.

    Raises PermissionDenied.
    """
    access.require(by, project, Role.ADMIN)
    preferences = _locked(project)
    if not preferences.webhook_host:
        return
    before = preferences.webhook_host
    preferences.webhook, preferences.webhook_host = {}, ""
    preferences.save()
    _record_host(preferences, before, by=by, now=now)


@transaction.atomic
def send_test(*, project: Project, by: Actor, now: datetime) -> Notification:
    """Send a notification to everybody that the project named.

    Raises Refused when it named nobody, PermissionDenied.
    """
    access.require(by, project, Role.ADMIN)
    preferences = preferences_of(project)
    if not preferences.emails and not preferences.webhook_host:
        raise Refused("Enter a mail address or a webhook first, and save it.")
    news = News(Kind.TEST, "This is a test", text=f"{by.name} asked for it. Everything works when you read this.")
    notification = notify(project=project, news=news, now=now)
    assert notification is not None
    audit.record(action="notifications.test", by=by, now=now, project_id=project.pk, target=notification)
    return notification


def mark_seen(*, project: Project, user: User) -> None:
    """The user has looked at all there is."""
    newest = Notification.objects.filter(project=project).aggregate(newest=Max("pk"))["newest"] or 0
    Seen.objects.update_or_create(project=project, user=user, defaults={"last_id": newest})


def _locked(project: Project) -> Preferences:
    """The project's row, made if it has none; until the end of the transaction nobody else changes it."""
    return _readable().select_for_update().get_or_create(project=project)[0]


def _readable() -> QuerySet[Preferences]:
    """Without the webhook, which only who calls it decrypts: with its key lost, mails and pages go on."""
    return Preferences.objects.defer("webhook")


def _record_host(preferences: Preferences, before: str, *, by: Actor, now: datetime) -> None:
    """Of the webhook's address the host alone is no secret."""
    audit.record(
        action="notifications.webhook",
        by=by,
        now=now,
        project_id=preferences.project_id,
        target=preferences,
        before={"host": before},
        after={"host": preferences.webhook_host},
    )
