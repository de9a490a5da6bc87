"""Settings > Notifications, and the bell in the bar."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from exports_portal.common.models import AuditEntry
from notifications import actions
from notifications.actions import News
from notifications.models import Dispatch, Kind, Notification, Preferences
from projects.models import Project, Role
from tests.factories import MembershipFactory
from tests.pages.html import Site, body, text

FORM = {"kinds": ["failing", "lag"], "emails": "", "rejected_percent": 5, "empty_windows": 3, "lag_minutes": 5}


def site_of(project: Project, role: str) -> Site:
    user, client = MembershipFactory(project=project, role=role).user, Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return Site(client)


@pytest.fixture
def admin(project: Project) -> Site:
    return site_of(project, Role.ADMIN)


@pytest.fixture
def url(project: Project) -> str:
    return f"/{project.account_id}/settings/notifications/"


def tell(project: Project, title: str = "“Growth” cannot send") -> None:
    news = News(Kind.FAILING, title, text="The API key is invalid.", path="/x/")
    actions.notify(project=project, news=news, now=timezone.now())


def test_preferences_are_saved_and_audited(admin: Site, url: str) -> None:
    form = {**FORM, "emails": "Ops@example.com\n\nasha@example.com\nops@example.com", "lag_minutes": 15}
    response = admin.client.post(url, form, follow=True)
    assert "Notification settings saved" in text(response)
    saved = Preferences.objects.get()
    assert (saved.kinds, saved.emails) == (["failing", "lag"], ["ops@example.com", "asha@example.com"])
    assert saved.lag_minutes == 15
    entry = AuditEntry.objects.get(action="notifications.edit")
    assert (entry.before["lag_minutes"], entry.after["lag_minutes"]) == (5, 15)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"emails": "ops@"}, "“ops@” is not an email address."),
        ({"emails": "\n".join(f"a{n}@example.com" for n in range(21))}, "20 addresses are the most."),
        ({"rejected_percent": 0}, "greater than or equal to 1"),
        ({"rejected_percent": 101}, "less than or equal to 100"),
        ({"lag_minutes": "soon"}, "Enter a whole number."),
        ({"empty_windows": ""}, "This field is required."),
        ({"empty_windows": -1}, "greater than or equal to 1"),
        ({"kinds": ["test"]}, "is not one of the available choices"),
    ],
)
def test_wrong_preferences_are_named_at_their_field(admin: Site, url: str, wrong: dict[str, Any], said: str) -> None:
    response = admin.post(url, {**FORM, **wrong})
    assert response.status_code == 422
    assert said in text(response)
    (name,) = wrong
    assert f'id="id_{name}_error"' in body(response)
    assert not Preferences.objects.exists()


def test_a_webhook_shows_its_secret_once_and_its_address_never(admin: Site, url: str) -> None:
    response = admin.post(f"{url}webhook/", {"url": "https://hooks.example.com/services/5ecret"}, htmx=True)
    secret = body(response).split('<code id="secret-value">')[1].split("<")[0]
    assert Preferences.objects.get().webhook == {"url": "https://hooks.example.com/services/5ecret", "secret": secret}
    assert response.headers["Cache-Control"] == "no-store"
    later = body(admin.get(url)) + body(admin.get(f"{url}webhook/"))
    assert "hooks.example.com" in later
    assert secret not in later
    assert "5ecret" not in later
    assert "5ecret" not in str(list(AuditEntry.objects.values_list("before", "after")))


def test_a_wrong_webhook_is_refused_and_the_old_one_stays(admin: Site, url: str) -> None:
    admin.post(f"{url}webhook/", {"url": "https://hooks.example.com/"})
    response = admin.post(f"{url}webhook/", {"url": "http://hooks.example.com/"})
    assert response.status_code == 422
    assert "Use https://" in text(response)
    assert Preferences.objects.get().webhook["url"] == "https://hooks.example.com/"


def test_removing_the_webhook_asks_first(admin: Site, url: str) -> None:
    admin.post(f"{url}webhook/", {"url": "https://hooks.example.com/"})
    assert "Remove the webhook?" in admin.text(f"{url}webhook/remove/")
    assert "has been removed" in text(admin.client.post(f"{url}webhook/remove/", follow=True))
    assert (Preferences.objects.get().webhook, Preferences.objects.get().webhook_host) == ({}, "")


def test_a_test_goes_to_all_and_says_when_there_is_nobody(admin: Site, url: str) -> None:
    assert "Enter a mail address or a webhook first" in text(admin.client.post(f"{url}test/", follow=True))
    admin.post(url, {**FORM, "emails": "ops@example.com"})
    shown = text(admin.client.post(f"{url}test/", follow=True))
    assert "A test is on its way" in shown
    assert "ops@example.com on its way" in shown
    assert Dispatch.objects.count() == 1


def test_what_became_of_mails_is_shown(admin: Site, url: str, project: Project) -> None:
    admin.post(url, {**FORM, "emails": "a@example.com\nb@example.com"})
    tell(project)
    Dispatch.objects.filter(recipient="a@example.com").update(sent_at=timezone.now(), next_try_at=None)
    Dispatch.objects.filter(recipient="b@example.com").update(next_try_at=None, last_error="550 No such user")
    shown = admin.text(url)
    assert "a@example.com sent" in shown
    assert "b@example.com not sent: 550 No such user" in shown


def test_viewers_read_and_do_not_change(project: Project, url: str) -> None:
    tell(project)
    viewer = site_of(project, Role.VIEWER)
    shown = viewer.text(url)
    assert "“Growth” cannot send" in shown
    assert "Save" not in shown
    assert viewer.post(url, FORM).status_code == 403
    for page in ("webhook/", "webhook/remove/", "test/"):
        assert viewer.post(f"{url}{page}", {"url": "https://hooks.example.com/"}).status_code == 403
    assert not Preferences.objects.exists()


def test_the_bell_counts_what_a_user_has_not_seen(admin: Site, project: Project, url: str) -> None:
    other = site_of(project, Role.VIEWER)
    events = f"/{project.account_id}/events/"
    assert 'aria-label="Notifications"' in body(admin.get(events))
    tell(project)
    tell(project)
    assert 'aria-label="Notifications, 2 new"' in body(admin.get(events))
    admin.get(url)
    assert 'aria-label="Notifications"' in body(admin.get(events))
    assert 'aria-label="Notifications, 2 new"' in body(other.get(events))
    tell(project)
    assert 'aria-label="Notifications, 1 new"' in body(admin.get(events))


def test_titles_and_errors_are_shown_as_text(admin: Site, project: Project, url: str) -> None:
    tell(project, title="<script>alert(1)</script>")
    assert "<script>alert" not in body(admin.get(url))
    assert Notification.objects.get().title == "<script>alert(1)</script>"
