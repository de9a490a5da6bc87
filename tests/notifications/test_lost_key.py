"""A webhook whose encryption key is lost: everything else goes on, and it can be replaced or removed."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.utils import timezone

from notifications import actions, dispatch
from notifications.actions import News
from notifications.models import Dispatch, Kind, Preferences
from projects.models import Project
from tests.factories import MembershipFactory, UserFactory, token_for
from tests.notifications.conftest import ANN, Inbox, prefer
from tests.pages.html import Site, text

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.com/services/5ecret"


@pytest.fixture(autouse=True)
def lost(project: Project, settings: Any) -> None:
    """A webhook, and mail to ops; then another key."""
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    prefer(project, emails=["ops@example.com"])
    actions.set_webhook(project=project, url=URL, by=ANN, now=timezone.now())
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]


def test_mails_go_on_and_the_call_says_why_it_failed(project: Project, inbox: Inbox) -> None:
    now = timezone.now()
    actions.notify(project=project, news=News(Kind.FAILING, "“Growth” cannot send"), now=now)
    for pk in dispatch.due(now=now):
        dispatch.send(pk, now=now)
    assert [message["To"] for message in inbox.messages] == ["ops@example.com"]
    call = Dispatch.objects.get(channel="webhook")
    assert (call.attempts, call.sent_at, call.next_try_at) == (1, None, now + dispatch.FIRST_WAIT)
    assert "PORTAL_ENCRYPTION_KEYS" in call.last_error


@pytest.mark.parametrize("path", ["", "webhook/", "webhook/remove/"])
def test_the_pages_open(project: Project, path: str) -> None:
    client = Client()
    client.force_login(MembershipFactory(project=project).user, backend="django.contrib.auth.backends.ModelBackend")
    assert Site(client).get(f"/{project.account_id}/settings/notifications/{path}").status_code == 200


def test_settings_are_changed_and_the_webhook_is_replaced(project: Project) -> None:
    client = Client(headers={"authorization": f"Bearer {token_for(project)}"})
    root, as_json = "/api/v1/notifications/", {"content_type": "application/json"}
    assert client.get(f"{root}settings/").json()["webhook_host"] == "hooks.example.com"
    assert client.patch(f"{root}settings/", {"lag_minutes": 9}, **as_json).json()["lag_minutes"] == 9
    secret = client.put(f"{root}webhook/", {"url": URL}, **as_json).json()["secret"]
    assert Preferences.objects.get().webhook == {"url": URL, "secret": secret}


def test_the_webhook_is_removed(project: Project) -> None:
    actions.remove_webhook(project=project, by=ANN, now=timezone.now())
    assert (Preferences.objects.get().webhook, Preferences.objects.get().webhook_host) == ({}, "")


def test_the_admin_shows_the_rest() -> None:
    client = Client()
    client.force_login(UserFactory(superuser=True), backend="django.contrib.auth.backends.ModelBackend")
    for path in ("", f"{Preferences.objects.defer('webhook').get().pk}/change/"):
        assert "ops@example.com" in text(client.get(f"/admin/notifications/preferences/{path}"))
