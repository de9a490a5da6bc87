"""The pages of a team, an invitation's link, and forgotten passwords."""

import re
import secrets
import socket
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from exports_portal.common.models import AuditEntry
from projects.models import Membership, Project, Role, User
from projects.team import invite, revoke_invitation
from tests.factories import PASSWORD, TESTS, MembershipFactory, ProjectFactory, UserFactory
from tests.pages.html import Site, body, text
from tests.portal import wait_until
from tests.projects.racing import while_uncommitted

NEW = "a much better passphrase"


def link_in(response: Any) -> str:
    return body(response).split('<code id="secret-value">')[1].split("<")[0].removeprefix("http://testserver")


@pytest.fixture
def team(project: Project) -> str:
    return f"/{project.account_id}/settings/team/"


@pytest.fixture
def member(project: Project) -> Membership:
    return MembershipFactory(project=project, user__email="ravi@example.com", role=Role.VIEWER)


def test_the_team_lists_members_and_roles(site: Site, team: str) -> None:
    shown = site.text(team)
    assert "asha.rao@example.com Admin" in shown
    assert "What the roles may do" in shown


def test_viewers_see_no_buttons(viewer_site: Site, team: str, member: Membership) -> None:
    shown = viewer_site.text(team)
    assert "ravi@example.com Viewer" in shown
    assert "Invite" not in shown
    assert "Remove" not in shown


def test_from_the_invitation_to_the_new_member(site: Site, team: str, project: Project) -> None:
    response = site.post(f"{team}invite/", {"email": "mira@example.com", "role": "marketer"}, htmx=True)
    link = link_in(response)
    assert response.headers["Cache-Control"] == "no-store"
    assert "mira@example.com Marketer" in site.text(team)
    mira = Client()
    assert "Join Kirana Mobile" in text(mira.get(link))
    weak = mira.post(link, {"password": "123", "again": "123"})
    assert weak.status_code == 422
    differing = mira.post(link, {"password": NEW, "again": PASSWORD})
    assert "The two passwords differ." in text(differing)
    welcome = mira.post(link, {"password": NEW, "again": NEW}, follow=True)
    assert "Welcome to Kirana Mobile" in text(welcome)
    assert project.memberships.get(user__email="mira@example.com").role == "marketer"
    assert mira.get(link).status_code == 404
    assert AuditEntry.objects.get(action="invitation.accept").address == "127.0.0.1"


def test_an_invitation_is_mailed_too(site: Site, team: str, project: Project) -> None:
    project.name = "Kirana\nBcc: all@example.com"
    project.save()
    response = site.post(f"{team}invite/", {"email": "mira@example.com", "role": "marketer"})
    assert "This link has been mailed to mira@example.com" in text(response)
    (message,) = mail.outbox
    assert (message.to, message.bcc) == (["mira@example.com"], [])
    assert message.subject == "Join Kirana Bcc: all@example.com in the Exports Portal"
    assert "asha.rao@example.com invites you" in message.body
    assert "within 7 days" in message.body
    assert f"http://testserver{link_in(response)}\n" in message.body


def test_without_a_mail_server_the_link_is_passed_on_by_hand(site: Site, team: str, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    away = site.post(f"{team}invite/", {"email": "mira@example.com", "role": "viewer"})
    assert "It could not be mailed, so send this link to mira@example.com" in text(away)
    assert Client().get(link_in(away)).status_code == 200
    settings.PORTAL_SENDS_MAIL = False
    assert "Send this link to" in text(site.post(f"{team}invite/", {"email": "mira@example.com", "role": "viewer"}))


def test_who_has_an_account_joins_with_it(site: Site, team: str, project: Project) -> None:
    user = UserFactory(email="mira@example.com")
    link = link_in(site.post(f"{team}invite/", {"email": user.email, "role": "viewer"}))
    mira = Client()
    assert mira.get(link).headers["Location"] == f"/login/?next={link}"
    assert "you are signed in as asha.rao@example.com" in text(site.get(link))
    mira.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert "Welcome to" in text(mira.post(link, follow=True))
    assert project.memberships.filter(user=user, role="viewer").exists()


def test_a_wrong_invitation_is_told_in_the_panel(site: Site, team: str, member: Membership) -> None:
    for email in ("mira", "ravi@example.com"):
        response = site.post(f"{team}invite/", {"email": email, "role": "viewer"})
        assert response.status_code == 422
        assert 'id="id_email_error"' in body(response)


def test_an_invitation_is_revoked(site: Site, team: str, project: Project) -> None:
    link = link_in(site.post(f"{team}invite/", {"email": "mira@example.com", "role": "viewer"}))
    url = f"{team}invitations/{project.invitations.get().pk}/revoke/"
    assert "Revoke the invitation?" in site.text(url)
    assert "has been revoked" in text(site.client.post(url, follow=True))
    gone = Client().get(link)
    assert gone.status_code == 404
    assert "Ask for a new one" in text(gone)


@pytest.mark.django_db(transaction=True)
def test_who_comes_second_to_an_invitation_is_told_so(site: Site, team: str, project: Project) -> None:
    link = link_in(site.post(f"{team}invite/", {"email": "mira@example.com", "role": "viewer"}))
    invitation, mira = project.invitations.get(), Client()
    late = while_uncommitted(
        lambda: revoke_invitation(invitation=invitation, by=TESTS, now=timezone.now()),
        lambda: mira.post(link, {"password": NEW, "again": NEW}),
    )
    assert late.status_code == 404
    assert "Ask for a new one" in text(late)
    assert not User.objects.filter(email="mira@example.com").exists()


def test_its_pages_stand_under_team(site: Site, team: str, project: Project, member: Membership) -> None:
    invite(project=project, email="mira@example.com", role="viewer", by=TESTS, now=timezone.now())
    own = [f"{member.pk}/{page}/" for page in ("role", "password", "remove")]
    for page in ("", "invite/", f"invitations/{project.invitations.get().pk}/revoke/", *own):
        shown = body(site.get(f"{team}{page}"))
        assert re.search(r'<a class="side-link" href="[^"]*/team/" aria-current="page">', shown), page
        assert re.search(r"<h1[^>]*>Team</h1>", shown), page


def test_the_password_page_of_an_invitation_tells_the_rules_that_hold(project: Project) -> None:
    made = invite(project=project, email="mira.sharma@example.com", role="viewer", by=TESTS, now=timezone.now())
    assert "too similar to your other personal information" in text(Client().get(made.link))
    weak = Client().post(made.link, {"password": "mira.sharma", "again": "mira.sharma"})
    assert "too similar to the email" in text(weak)


def test_a_role_is_changed_and_a_member_removed(site: Site, team: str, member: Membership) -> None:
    response = site.client.post(f"{team}{member.pk}/role/", {"role": "marketer"}, follow=True)
    assert "ravi@example.com has the role marketer now" in text(response)
    assert "Remove ravi@example.com?" in site.text(f"{team}{member.pk}/remove/")
    assert "has been removed" in text(site.client.post(f"{team}{member.pk}/remove/", follow=True))
    assert not Membership.objects.filter(pk=member.pk).exists()


def test_the_last_admin_is_told_why_not(site: Site, team: str, project: Project) -> None:
    own = project.memberships.get()
    for page, data in (("role", {"role": "viewer"}), ("remove", {})):
        response = site.post(f"{team}{own.pk}/{page}/", data)
        assert response.status_code == 422
        assert "needs an admin" in text(response)


def test_members_of_other_projects_are_not_found(site: Site, team: str) -> None:
    foreign = MembershipFactory()
    for page in ("role", "remove", "password"):
        assert site.post(f"{team}{foreign.pk}/{page}/", {"role": "admin"}).status_code == 404


def test_an_admins_link_sets_a_new_password_once(site: Site, team: str, member: Membership) -> None:
    link = link_in(site.post(f"{team}{member.pk}/password/"))
    set_password(link, NEW)
    member.user.refresh_from_db()
    assert member.user.check_password(NEW)
    assert "has been used" in text(Client().get(link, follow=True))
    entries = list(AuditEntry.objects.order_by("id").values_list("action", "actor"))
    assert entries == [("user.password_link", "asha.rao@example.com"), ("user.password", "ravi@example.com")]


def test_no_link_for_who_is_in_other_projects(site: Site, team: str, member: Membership) -> None:
    MembershipFactory(user=member.user, project=ProjectFactory())
    response = site.post(f"{team}{member.pk}/password/")
    assert response.status_code == 422
    assert "Ask a superuser" in text(response)


def set_password(link: str, password: str) -> None:
    client = Client()
    form = client.get(link, follow=True)
    url = form.redirect_chain[-1][0]
    assert "Set a new password" in text(form)
    weak = client.post(url, {"new_password1": "123", "new_password2": "123"})
    assert 'id="id_new_password2_error"' in body(weak)
    done = client.post(url, {"new_password1": password, "new_password2": password}, follow=True)
    assert "Sign in with it." in text(done)


def test_a_forgotten_password_is_set_anew_by_mail(user: User) -> None:
    client = Client()
    for email in (user.email, "nobody@example.com"):
        assert "Look into your mail" in text(client.post("/password/reset/", {"email": email}, follow=True))
    wait_until(lambda: mail.outbox)  # sent while the page is answered: the time tells nothing
    (message,) = mail.outbox
    assert message.to == [user.email]
    (link,) = re.findall(r"http://testserver(\S+)", message.body)
    set_password(link, NEW)
    user.refresh_from_db()
    assert user.check_password(NEW)


def test_nobody_is_flooded_with_links_for_new_passwords(db: Any) -> None:
    user = UserFactory(email=f"asha.{secrets.token_hex(4)}@example.com")
    for spelling in (user.email, user.email.upper()) * 10:
        assert "Look into your mail" in text(Client().post("/password/reset/", {"email": spelling}, follow=True))
    wait_until(lambda: len(mail.outbox) >= 5)
    assert len(mail.outbox) <= 10  # also when an hour ends in between


def test_no_project_mails_its_words_to_half_the_world(site: Site, team: str, project: Project) -> None:
    what = {"project": project, "role": "viewer", "site": "http://testserver", "by": TESTS, "now": timezone.now()}
    mailed = [invite(email=f"{number}@example.com", **what).mailed for number in range(201)]
    assert mailed[0]
    assert 100 <= sum(mailed) <= 200  # twice a hundred when an hour ends in between
    if not mailed[-1]:
        one_more = site.post(f"{team}invite/", {"email": "mira@example.com", "role": "viewer"})
        assert "It could not be mailed, so send this link to mira@example.com" in text(one_more)


def test_links_in_mails_lead_to_the_portal_whatever_name_was_asked(
    site: Site, team: str, user: User, settings: Any
) -> None:
    settings.PORTAL_URL = "https://portal.example.com"
    client = Client(headers={"Host": "localhost:666"})
    client.post("/password/reset/", {"email": user.email})
    wait_until(lambda: mail.outbox)
    site.client.post(f"{team}invite/", {"email": "mira@example.com", "role": "viewer"}, headers={"Host": "localhost"})
    for message in mail.outbox:
        assert "https://portal.example.com/" in message.body
        assert "localhost" not in message.body


def test_nobody_waits_for_the_mail_of_a_forgotten_password(user: User, settings: Any) -> None:
    """A mail server that takes the connection and says nothing: the page is answered all the same."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
        answer = Client().post("/password/reset/", {"email": user.email}, follow=True)
        assert "Look into your mail" in text(answer)
        silent.accept()[0].close()  # the mail was on its way


def test_a_new_password_ends_other_sessions(site: Site, user: User, team: str) -> None:
    other = Client()
    other.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    data = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert "Your password has been changed" in text(site.client.post("/password/", data, follow=True))
    assert site.get(team).status_code == 200
    assert other.get(team).status_code == 302
    assert AuditEntry.objects.filter(action="user.password", actor_id=user.pk).exists()


def test_without_a_mail_server_no_link_is_made(user: User, settings: Any) -> None:
    settings.PORTAL_SENDS_MAIL = False
    for response in (Client().get("/password/reset/"), Client().post("/password/reset/", {"email": user.email})):
        assert "This portal sends no mail" in text(response)
    assert mail.outbox == []
