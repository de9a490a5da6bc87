"""The verbs of a project's team: invitations, roles, and links with which somebody sets a new password.

Each raises PermissionDenied unless `by` is an admin of the project, Invalid for wrong input, Refused for a move that is
not allowed. Links are shown once; the portal keeps only a digest of an invitation's token, and nothing of a password's.
"""

from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import NamedTuple

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from exports_portal.common import audit, rate_limits
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.rate_limits import TooManyRequests
from projects import access
from projects.actions import add_member, email_errors, make_user, role_errors
from projects.credentials import digest_of, new_secret
from projects.models import Invitation, Membership, Project, Role, User
from projects.password_links import password_links

log = structlog.get_logger("projects")

MAILS_AN_HOUR = 100  # of a project
HOUR = 3600
MAIL_SECONDS = 10  # somebody waits for the page
INVITATION_LASTS = timedelta(days=7)
GONE = "This invitation is not valid (any more). Ask for a new one."
NEEDS_ADMIN = "A project needs an admin. Make somebody else an admin first."


class Invited(NamedTuple):
    """`link` is to be shown once and passed on. `mailed`: it has also been sent to the address."""

    invitation: Invitation
    link: str
    mailed: bool


def invite(*, project: Project, email: str, role: str, site: str = "", by: Actor, now: datetime) -> Invited:
    """Invite somebody by a link, which is also mailed where the portal sends mail.

    site: scheme and host of the link; without it the link is a path, and not mailed. An older invitation of the same
    address ends.
    """
    invitation, path = _invite(project, email, role, by=by, now=now)
    link = f"{site}{path}"
    return Invited(invitation, link, bool(site) and settings.PORTAL_SENDS_MAIL and _mail(invitation, link, by))


@transaction.atomic
def _invite(project: Project, email: str, role: str, *, by: Actor, now: datetime) -> tuple[Invitation, str]:
    access.require(by, project, Role.ADMIN)
    _hold(project.pk)
    email = email.strip().lower()
    errors = {"email": email_errors(email), "role": role_errors(role)}
    if not errors["email"] and project.memberships.filter(user__email=email).exists():
        errors["email"] = [f"{email} is a member already."]
    if any(errors.values()):
        raise Invalid({name: texts for name, texts in errors.items() if texts})
    for older in project.invitations.open(now).filter(email=email):
        revoke_invitation(invitation=older, by=by, now=now)
    token, digest = new_secret()
    invitation = Invitation.objects.create(
        project=project,
        email=email,
        role=role,
        digest=digest,
        created_at=now,
        created_by_id=by.id,
        expires_at=now + INVITATION_LASTS,
    )
    _record_invitation("create", invitation, by=by, now=now)
    return invitation, reverse("invitation", args=[token])


def _mail(invitation: Invitation, link: str, by: Actor) -> bool:
    """Whether a mail server took it: a link that nobody got by mail is passed on by hand.

    The text is in part the project's, so that no project may send it to half the world.
    """
    about = {"invitation": invitation, "inviter": by.name if by.id else ""}
    context = {**about, "link": link, "days": INVITATION_LASTS.days}
    message = EmailMessage(
        subject=" ".join(f"Join {invitation.project.name} in the Exports Portal".split()),
        body=render_to_string("registration/invitation_mail.txt", context),
        to=[invitation.email],
        connection=get_connection(timeout=MAIL_SECONDS),
    )
    try:
        rate_limits.count(f"invitations:{invitation.project_id}", most=MAILS_AN_HOUR, seconds=HOUR)
        return bool(message.send())
    except (TooManyRequests, SMTPException, OSError) as error:
        log.warning("invitation.not_mailed", project=invitation.project_id, why=str(error) or type(error).__name__)
        return False


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, by: Actor, now: datetime) -> None:
    """Its link opens nothing any more; harmless when it did not already."""
    access.require(by, invitation.project, Role.ADMIN)
    if Invitation.objects.open(now).filter(pk=invitation.pk).update(revoked_at=now):
        _record_invitation("revoke", invitation, by=by, now=now)
    invitation.refresh_from_db(fields=["revoked_at"])


def invitation_of(token: str, *, now: datetime) -> Invitation | None:
    """The invitation behind a link, while it is open."""
    return Invitation.objects.open(now).select_related("project").filter(digest=digest_of(token)).first()


@transaction.atomic
def accept(*, invitation: Invitation, user: User | None, password: str = "", by: Actor, now: datetime) -> User:
    """Become a member: as `user`, whose address it must be, or as a new user with this password. Once."""
    if not Invitation.objects.open(now).filter(pk=invitation.pk).update(accepted_at=now):
        raise Refused(GONE)
    if user is None:
        user = make_user(email=invitation.email, password=password, project=invitation.project, by=by, now=now)
    elif user.email != invitation.email:
        raise Refused(f"This invitation is for {invitation.email}. Sign in with that address.")
    # Whoever invited had the right to; who accepts has it by the link.
    inviter = Actor(None, by.name, by.address)
    add_member(project=invitation.project, user=user, role=invitation.role, by=inviter, now=now)
    _record_invitation("accept", invitation, by=by, now=now)
    return user


@transaction.atomic
def change_role(*, membership: Membership, role: str, by: Actor, now: datetime) -> Membership:
    """Give a member another role. The last admin stays one."""
    access.require(by, membership.project, Role.ADMIN)
    if errors := role_errors(role):
        raise Invalid({"role": errors})
    membership = _locked(membership)
    if membership.role == role:
        return membership
    if role != Role.ADMIN:
        _refuse_if_last_admin(membership)
        _revoke_all(membership.project.invitations.filter(created_by=membership.user), by=by, now=now)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit.record(
        action="member.role",
        by=by,
        now=now,
        project_id=membership.project_id,
        target=membership,
        before={"role": before},
        after={"email": membership.user.email, "role": role},
    )
    return membership


@transaction.atomic
def remove_member(*, membership: Membership, by: Actor, now: datetime) -> None:
    """Take a member out of the project, whose pages they see no more from now on. The last admin stays.

    As after a lesser role, their open invitations end: they could come back by one of them.
    """
    access.require(by, membership.project, Role.ADMIN)
    membership = _locked(membership)
    _refuse_if_last_admin(membership)
    _revoke_all(membership.project.invitations.filter(created_by=membership.user), by=by, now=now)
    was = {"email": membership.user.email, "role": membership.role}
    project_id = membership.project_id
    audit.record(action="member.remove", by=by, now=now, project_id=project_id, target=membership, before=was)
    membership.delete()


@transaction.atomic
def delete_user(*, user: User, by: Actor, now: datetime) -> None:
    """Delete an account, which leaves its projects first. Raises Refused for the last admin of one.

    What it invited to ends, also where it was no member: a superuser invites anywhere.
    """
    _require_above(by, user)
    for membership in user.memberships.select_related("project").order_by("project"):
        remove_member(membership=membership, by=by, now=now)
    end_invitations(user=user, by=by, now=now)
    audit.record(action="user.delete", by=by, now=now, project_id=None, target=user, before={"email": user.email})
    user.delete()


def prepare_deactivation(*, user: User, by: Actor, now: datetime) -> None:
    """End what a user invited to. Raises Refused for the last admin of a project, who must be able to sign in.

    Inside the transaction that deactivates the user.
    """
    for membership in user.memberships.select_related("project").order_by("project"):
        _refuse_if_last_admin(_locked(membership))
    end_invitations(user=user, by=by, now=now)


@transaction.atomic
def end_invitations(*, user: User, by: Actor, now: datetime) -> None:
    """Revoke what a user invited to, in every project: for whoever loses the rights of a superuser."""
    _revoke_all(Invitation.objects.filter(created_by=user), by=by, now=now)


def password_link(*, membership: Membership, by: Actor, now: datetime) -> str:
    """A link, good for a day and once, with which a member sets a new password: its path, to be shown once.

    Whoever holds it can become that user, so it is for those who may do all that the user may. It ends when somebody's
    role in one of the user's projects changes.
    """
    access.require(by, membership.project, Role.ADMIN)
    user = membership.user
    if not user.is_active:
        raise Refused(f"{user.email} is deactivated. A superuser can change that.")
    _require_above(by, user)
    project_id, after = membership.project_id, {"email": user.email}
    audit.record(action="user.password_link", by=by, now=now, project_id=project_id, target=user, after=after)
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("password-reset-confirm", args=[uid, password_links.make_token(user)])


def _require_above(by: Actor, user: User) -> None:
    if not access.is_above(by, user):
        raise PermissionDenied(
            f"{user.email} is in other projects, too, or has rights in the admin. Ask a superuser for it."
        )


def _locked(membership: Membership) -> Membership:
    """The row as it is, with its project held: two admins do not demote each other at once."""
    _hold(membership.project_id)
    found = Membership.objects.select_related("user", "project").filter(pk=membership.pk).first()
    if found is None:
        raise Refused("Somebody has removed this member meanwhile.")
    return found


def _hold(project_id: int) -> None:
    """Until the end of the transaction nobody else changes the project's team, nor invites to it."""
    Project.objects.select_for_update(no_key=True).get(pk=project_id)


def _refuse_if_last_admin(membership: Membership) -> None:
    others = membership.project.memberships.filter(role=Role.ADMIN, user__is_active=True).exclude(pk=membership.pk)
    if membership.role == Role.ADMIN and not others.exists():
        raise Refused(NEEDS_ADMIN)


def _revoke_all(invitations: QuerySet[Invitation], *, by: Actor, now: datetime) -> None:
    for invitation in invitations.filter(accepted_at=None, revoked_at=None).select_related("project").order_by("pk"):
        revoke_invitation(invitation=invitation, by=by, now=now)


def _record_invitation(verb: str, invitation: Invitation, *, by: Actor, now: datetime) -> None:
    audit.record(
        action=f"invitation.{verb}",
        by=by,
        now=now,
        project_id=invitation.project_id,
        target=invitation,
        after={"email": invitation.email, "role": invitation.role},
    )
