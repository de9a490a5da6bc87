"""Sends the mails and calls of notifications, each until it got through, by a worker that a bell or the tick woke."""

import json
from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.mail import EmailMessage

from exports_portal.common.encrypted import SecretUnreadable
from notifications import webhook
from notifications.models import Channel, Dispatch, Notification, Preferences

log = structlog.get_logger("notifications")

GIVE_UP = 12  # tries, over about 12 hours
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=4)
AT_ONCE = 100  # bells of one tick
RING_AGAIN = timedelta(seconds=60)  # a worker that dies while it sends
LONGEST_TRY = 40  # seconds: an answer that drips byte by byte never exceeds the time-out of a single read
TOLD = (webhook.CallFailed, SMTPException, OSError, SecretUnreadable)  # by their text


class _Gone(Exception):
    """There is nobody to send to any more."""


def due(*, now: datetime) -> list[int]:
    """The mails and calls to be tried now."""
    waiting = Dispatch.objects.filter(next_try_at__lte=now).order_by("next_try_at")
    return list(waiting.values_list("pk", flat=True)[:AT_ONCE])


def send(dispatch_id: int, *, now: datetime) -> None:
    """Try one mail or call; harmless when it is not due, or another worker has it."""
    mine = Dispatch.objects.filter(pk=dispatch_id, next_try_at__lte=now)
    if not mine.update(next_try_at=now + RING_AGAIN):
        return
    dispatch = Dispatch.objects.select_related("notification__project").get(pk=dispatch_id)
    dispatch.attempts += 1
    try:
        if dispatch.channel == Channel.MAIL:
            _mail(dispatch)
        else:
            _call(dispatch, now=now)
    except _Gone as error:
        dispatch.last_error, dispatch.next_try_at = str(error), None
    except Exception as error:  # a try that failed counts whatever the reason, or it would be repeated for ever
        dispatch.last_error = _why(error)
        dispatch.next_try_at = None if dispatch.attempts >= GIVE_UP else now + wait_after(dispatch.attempts)
    else:
        dispatch.sent_at, dispatch.next_try_at, dispatch.last_error = now, None, ""
    dispatch.save(update_fields=["recipient", "attempts", "sent_at", "next_try_at", "last_error"])
    _say(dispatch)


def _why(error: Exception) -> str:
    """For people. Of an error that nobody foresaw only its kind: the text may show the webhook's address."""
    if isinstance(error, SoftTimeLimitExceeded):
        return f"It took longer than {LONGEST_TRY} seconds."
    return (str(error) if isinstance(error, TOLD) else "") or type(error).__name__


def wait_after(attempts: int) -> timedelta:
    """Until the next try: twice as long after each, from FIRST_WAIT to LONGEST_WAIT."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempts - 1))


def _say(dispatch: Dispatch) -> None:
    notification = dispatch.notification
    about: dict[str, Any] = {"project": notification.project_id, "notification": notification.pk}
    about |= {"channel": dispatch.channel, "attempts": dispatch.attempts}
    about |= {"request_id": notification.request_id or None}
    if dispatch.sent_at:
        log.info("notification.sent", **about)
    elif dispatch.next_try_at:
        log.warning("notification.retry", **about, why=dispatch.last_error)
    else:
        log.error("notification.given_up", **about, why=dispatch.last_error)


def _mail(dispatch: Dispatch) -> None:
    notification = dispatch.notification
    lines = [notification.text, address_of(notification)]
    EmailMessage(
        subject=" ".join(f"[{notification.project.name}] {notification.title}".split()),
        body="\n\n".join(line for line in lines if line),
        to=[dispatch.recipient],
        headers={"Auto-Submitted": "auto-generated"},
    ).send()


def _call(dispatch: Dispatch, *, now: datetime) -> None:
    """Whoever corrects the address means the calls that still wait, too; who gave one up is called no more."""
    preferences = Preferences.objects.filter(project_id=dispatch.notification.project_id).first()
    if preferences is None or not preferences.webhook:
        raise _Gone("The webhook has been removed.")
    target, dispatch.recipient = preferences.webhook, preferences.webhook_host
    body = json.dumps(payload(dispatch.notification), ensure_ascii=False).encode()
    webhook.call(target["url"], body, secret=target["secret"], at=int(now.timestamp()))


def payload(notification: Notification) -> dict[str, object]:
    """What a webhook gets. `id` stays the same when a call is repeated."""
    return {
        "id": str(notification.uid),
        "kind": notification.kind,
        "title": notification.title,
        "text": notification.text,
        "project": notification.project.account_id,
        "exports": notification.exports,
        "url": address_of(notification),
        "created_at": notification.created_at.isoformat(),
    }


def address_of(notification: Notification) -> str:
    """The page to look at, as people reach it; empty when nobody said where that is."""
    return f"{settings.PORTAL_URL}{notification.path}" if settings.PORTAL_URL and notification.path else ""
