"""Mails and calls of notifications: over real servers, repeated until they get through, each known by its id."""

import json
import signal
from datetime import timedelta
from email.header import decode_header, make_header
from threading import Event
from typing import Any

import pytest
import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DataError, connection
from django.utils import timezone
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from exports_portal.common import bells, heartbeat
from exports_portal.common.audit import Actor
from notifications import actions, dispatch, tasks
from notifications.actions import News
from notifications.models import Dispatch, Kind, Notification, Preferences
from projects.models import Project
from tests.notifications.conftest import ANN, prefer

pytestmark = pytest.mark.django_db
NEWS = News(Kind.FAILING, "“Growth” cannot send", text="The API key is invalid.", path="/x/exports/7/", exports=[7])


def tell(project: Project, news: News = NEWS) -> Notification:
    notification = actions.notify(project=project, news=news, now=timezone.now())
    assert notification is not None
    return notification


def work() -> None:
    """What the tick rings for and a worker does, as if all waits were over."""
    later = timezone.now() + timedelta(days=1)
    for pk in dispatch.due(now=later):
        dispatch.send(pk, now=later)


def test_a_mail_reaches_each_address(project, inbox, settings) -> None:
    settings.PORTAL_URL = "https://portal.example.com"
    prefer(project, emails=["Ops@Example.com", "asha@example.com"])
    tell(project)
    work()
    assert [message["To"] for message in inbox.messages] == ["ops@example.com", "asha@example.com"]
    message = inbox.messages[0]
    assert str(make_header(decode_header(message["Subject"]))) == "[Kirana Mobile] “Growth” cannot send"
    text = message.get_payload(decode=True).decode()
    assert "The API key is invalid." in text
    assert "https://portal.example.com/x/exports/7/" in text
    assert not Dispatch.objects.filter(sent_at=None).exists()


def test_a_name_with_line_breaks_adds_no_header(project, inbox) -> None:
    prefer(project, emails=["ops@example.com"])
    tell(project, News(Kind.FAILING, "“a\r\nBcc: victim@example.com” cannot send"))
    work()
    (message,) = inbox.messages
    assert message["Bcc"] is None
    assert message["X-RcptTo"] == "ops@example.com"


def test_a_mail_server_that_refuses_is_tried_again_later(project, inbox) -> None:
    prefer(project, emails=["ops@example.com"])
    tell(project)
    inbox.refuse = True
    now = timezone.now()
    (waiting,) = dispatch.due(now=now)
    dispatch.send(waiting, now=now)
    row = Dispatch.objects.get()
    assert (row.attempts, row.sent_at, row.next_try_at) == (1, None, now + timedelta(seconds=30))
    assert "Try again later" in row.last_error
    dispatch.send(waiting, now=now)  # a second bell before its time
    assert Dispatch.objects.get().attempts == 1
    inbox.refuse = False
    work()
    row = Dispatch.objects.get()
    assert (row.attempts, row.last_error, row.next_try_at, len(inbox.messages)) == (2, "", None, 1)


@pytest.fixture
def hook(project: Project, httpserver: HTTPServer, loopback_allowed: None) -> HTTPServer:
    url = httpserver.url_for("/hook")
    actions.set_webhook(project=project, url=url, by=ANN, now=timezone.now())
    return httpserver


def test_a_call_is_repeated_with_the_same_id_until_it_gets_through(project, hook: HTTPServer) -> None:
    hook.expect_ordered_request("/hook").respond_with_data("busy", status=503)
    hook.expect_ordered_request("/hook").respond_with_data("ok")
    notification = tell(project)
    work()
    assert Dispatch.objects.get().last_error == f"{hook.host} answered with 503."
    Dispatch.objects.update(next_try_at=timezone.now())
    work()
    assert Dispatch.objects.get().sent_at is not None
    bodies = [json.loads(request.get_data()) for request, _ in hook.log]
    assert bodies[0] == bodies[1]
    assert bodies[0] == {
        "id": str(notification.uid),
        "kind": "failing",
        "title": "“Growth” cannot send",
        "text": "The API key is invalid.",
        "project": project.account_id,
        "exports": [7],
        "url": "",
        "created_at": notification.created_at.isoformat(),
    }


def test_its_lines_carry_the_id_of_the_click(project, hook: HTTPServer, caplog) -> None:
    hook.expect_request("/hook").respond_with_data("ok")
    actions.set_webhook(project=project, url=hook.url_for("/hook"), by=ANN, now=timezone.now())
    with structlog.contextvars.bound_contextvars(request_id="the-click"):
        actions.send_test(project=project, by=ANN, now=timezone.now())
    with caplog.at_level("INFO"):
        work()
    (line,) = [record for record in caplog.records if "notification.sent" in str(record.msg)]
    assert "the-click" in str(line.msg)


def test_a_waiting_call_goes_to_the_corrected_address_and_says_so(project, hook: HTTPServer) -> None:
    hook.expect_request("/hook").respond_with_data("ok")
    actions.set_webhook(project=project, url="https://typo.invalid/hook", by=ANN, now=timezone.now())
    tell(project)
    work()
    assert (Dispatch.objects.get().recipient, Dispatch.objects.get().attempts) == ("typo.invalid", 1)
    actions.set_webhook(project=project, url=hook.url_for("/hook"), by=ANN, now=timezone.now())
    Dispatch.objects.update(next_try_at=timezone.now())
    work()
    row = Dispatch.objects.get()
    assert (row.recipient, row.sent_at is not None, len(hook.log)) == (hook.host, True, 1)


def test_waits_grow_and_end(project, hook: HTTPServer) -> None:
    seconds = [dispatch.wait_after(attempts).total_seconds() for attempts in range(1, 12)]
    assert seconds[:4] == [30, 60, 120, 240]
    assert max(seconds) == 4 * 3600
    assert sum(seconds) // 3600 == 12  # as docs/operations.md says
    hook.expect_request("/hook").respond_with_data("no", status=500)
    tell(project)
    Dispatch.objects.update(attempts=dispatch.GIVE_UP - 1)
    work()
    row = Dispatch.objects.get()
    assert (row.attempts, row.next_try_at, row.sent_at) == (dispatch.GIVE_UP, None, None)


def test_an_error_that_nobody_foresaw_counts_and_shows_no_address(project, hook: HTTPServer) -> None:
    """As that of an international name, which could be entered once."""
    Preferences.objects.update(webhook={"url": "http://127.0.0.1:port/5ecret", "secret": "whsec_"})
    tell(project)
    work()
    row = Dispatch.objects.get()
    assert (row.attempts, row.sent_at, row.last_error) == (1, None, "ValueError")
    assert row.next_try_at is not None


def test_calls_to_a_webhook_that_was_removed_are_given_up(project, hook: HTTPServer) -> None:
    tell(project)
    actions.remove_webhook(project=project, by=ANN, now=timezone.now())
    work()
    row = Dispatch.objects.get()
    assert (row.next_try_at, row.sent_at, row.last_error) == (None, None, "The webhook has been removed.")
    assert hook.log == []


def test_a_call_that_takes_too_long_is_cut_off_and_repeated(project, hook: HTTPServer) -> None:
    """Celery raises SoftTimeLimitExceeded by a signal wherever the worker stands, as is done here."""
    answered = Event()

    def answer(_request: Request) -> Response:
        answered.wait(20)
        return Response("ok")

    def late(*_: Any) -> None:
        raise SoftTimeLimitExceeded

    hook.expect_request("/hook").respond_with_handler(answer)
    tell(project)
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        work()
    finally:
        signal.signal(signal.SIGALRM, before)
        answered.set()
    row = Dispatch.objects.get()
    assert (row.attempts, row.sent_at, row.last_error) == (1, None, "It took longer than 40 seconds.")
    assert row.next_try_at is not None
    assert tasks.send.soft_time_limit == dispatch.LONGEST_TRY
    assert dispatch.RING_AGAIN.total_seconds() > dispatch.LONGEST_TRY


@pytest.mark.django_db(transaction=True)
def test_while_a_worker_sends_no_other_does_for_a_minute(project, hook: HTTPServer) -> None:
    """So a call is made once, and one whose worker died is made again."""
    tell(project)
    now = timezone.now()
    (mine,) = dispatch.due(now=now)
    meanwhile: list[list[int]] = []

    def answer(_request: Request) -> Response:
        meanwhile.extend(dispatch.due(now=moment) for moment in (now, now + dispatch.RING_AGAIN))
        connection.close()
        return Response("ok")

    hook.expect_request("/hook").respond_with_handler(answer)
    dispatch.send(mine, now=now)
    assert meanwhile == [[], [mine]]
    assert dispatch.due(now=now + dispatch.RING_AGAIN) == []


def test_what_a_project_does_not_want_to_hear_of_is_not_told(project) -> None:
    prefer(project, kinds=["lag"], emails=["ops@example.com"])
    assert actions.notify(project=project, news=NEWS, now=timezone.now()) is None
    assert not Dispatch.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_bells_ring_once_the_notification_is_stored(project) -> None:
    with heartbeat.connect() as redis:
        redis.delete(*bells.SHARD_QUEUES)
    prefer(project, emails=["ops@example.com"])
    tell(project)
    with heartbeat.connect() as redis:
        (message,) = redis.lrange("bulk", 0, -1)
    assert json.loads(message)["headers"]["task"] == "notifications.tasks.send"


@pytest.mark.django_db(transaction=True)
def test_a_test_that_the_audit_log_does_not_take_is_not_sent(project) -> None:
    prefer(project, emails=["ops@example.com"])
    with pytest.raises(DataError):
        actions.send_test(project=project, by=Actor(None, "x" * 1_000), now=timezone.now())
    assert not Dispatch.objects.exists()


def test_the_secret_is_encrypted_and_new_each_time(project, hook: HTTPServer) -> None:
    first = Preferences.objects.get().webhook["secret"]
    second = actions.set_webhook(project=project, url=hook.url_for("/other"), by=ANN, now=timezone.now())
    assert first != second
    with connection.cursor() as cursor:
        cursor.execute("SELECT webhook FROM notifications_preferences")
        (stored,) = cursor.fetchone()
    assert second not in stored
    assert "/other" not in stored
