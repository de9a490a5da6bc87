"""The verbs of projects and users: pages and commands call these.

Each raises Invalid for wrong input, and PermissionDenied unless `by` is an admin of the project; projects are made by
superusers. `make_user`, `set_password` and `record_user` ask for no role: their callers did, or act for the user.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from exports_portal.common import audit
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid
from projects import access
from projects.credentials import create_credential
from projects.models import Credential, Membership, Project, Role, User
from projects.retention import retention_of
from projects.zones import zone_names

ACCOUNT_ID_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no pair that people mix up: 0/O, 1/I/L, U/V
ACCOUNT_ID_GROUPS = (3, 3, 4)
NAME_CHARACTERS = 120
EMAIL_CHARACTERS = 254
FIRST_LOGIN = "admin@example.com"
DEMO_PROJECT = "Kirana Mobile · Live"


@dataclass(frozen=True)
class NewProject:
    """A project and its first credentials, which cannot be read again."""

    project: Project
    passcode: str = field(repr=False)
    api_token: str = field(repr=False)


@transaction.atomic
def create_project(*, name: str, timezone: str, by: Actor, now: datetime) -> NewProject:
    """Make a project with one passcode and one API token."""
    project = add_project(name=name, timezone=timezone, by=by, now=now)
    kinds = Credential.Kind
    _, passcode = create_credential(project=project, kind=kinds.PASSCODE, label="First passcode", by=by, now=now)
    _, token = create_credential(project=project, kind=kinds.API_TOKEN, label="First token", by=by, now=now)
    return NewProject(project, passcode, token)


@transaction.atomic
def add_project(*, name: str, timezone: str, by: Actor, now: datetime) -> Project:
    """Make a project without credentials; its admins create them on its page. For superusers."""
    access.require_superuser(by)
    name = name.strip()
    _check_project(name, timezone)
    project = Project.objects.create(account_id=_new_account_id(), name=name, timezone=timezone, created_at=now)
    audit.record(
        action="project.create",
        by=by,
        now=now,
        project_id=project.pk,
        target=project,
        after={"account_id": project.account_id, "name": name, "timezone": timezone},
    )
    return project


@transaction.atomic
def edit_project(
    *,
    project: Project,
    name: str | None = None,
    timezone: str | None = None,
    retention: Mapping[str, int | None] | None = None,
    by: Actor,
    now: datetime,
) -> Project:
    """Change a project's name and time zone, and how long it keeps its data (by the names of `Retention`).

    What is None or left out stays. Runs that exist keep their windows; later boundaries follow the new zone.
    """
    access.require(by, project, Role.ADMIN)
    project.refresh_from_db(from_queryset=Project.objects.select_for_update(no_key=True))
    name = project.name if name is None else name.strip()
    timezone = project.timezone if timezone is None else timezone
    _check_project(name, timezone)
    keeps = replace(retention_of(project), **(retention or {}))
    if errors := keeps.errors():
        raise Invalid(errors)
    before = _as_edited(project)
    project.zone_changed |= timezone != project.timezone  # the next tick reckons its exports' boundaries anew
    project.name, project.timezone = name, timezone
    for field_name, days in keeps.as_fields().items():
        setattr(project, field_name, days)
    project.save(update_fields=["name", "timezone", "zone_changed", *keeps.as_fields()])
    audit.record(
        action="project.edit",
        by=by,
        now=now,
        project_id=project.pk,
        target=project,
        before=before,
        after=_as_edited(project),
    )
    return project


def _as_edited(project: Project) -> dict[str, object]:
    """For the audit log: what an edit may change, and of the policy what is set."""
    days = {name: days for name, days in retention_of(project).as_fields().items() if days is not None}
    return {"name": project.name, "timezone": project.timezone, **days}


@transaction.atomic
def create_user(*, email: str, password: str, project: Project, role: str, by: Actor, now: datetime) -> User:
    """Make a user who is a member of `project`. The email address must be new, the password a good one."""
    access.require(by, project, Role.ADMIN)
    if errors := role_errors(role):
        raise Invalid({"role": errors})
    user = make_user(email=email, password=password, project=project, by=by, now=now)
    add_member(project=project, user=user, role=role, by=by, now=now)
    return user


def make_user(*, email: str, password: str, project: Project, by: Actor, now: datetime) -> User:
    """A new user, who belongs to no project yet; `project` is the one in whose audit log it stands."""
    email = email.strip().lower()
    errors = {"email": email_errors(email) or _taken(email), "password": _password_errors(password, email)}
    if any(errors.values()):
        raise Invalid({name: texts for name, texts in errors.items() if texts})
    user = User.objects.create_user(email, password)
    audit.record(action="user.create", by=by, now=now, project_id=project.pk, target=user, after={"email": email})
    return user


@transaction.atomic
def set_password(*, user: User, password: str, by: Actor, now: datetime) -> None:
    """A new password for a user, whose other sessions end with it. Raises Invalid for a weak one."""
    if errors := _password_errors(password, user.email):
        raise Invalid({"password": errors})
    user.set_password(password)
    user.save(update_fields=["password"])
    record_user("password", user, by=by, now=now)


def record_user(verb: str, user: User, *, by: Actor, now: datetime, **values: dict[str, object]) -> None:
    """An entry about a user in the audit log of each project that they are in; without a project when in none."""
    projects: list[int | None] = [*user.memberships.order_by("project").values_list("project", flat=True)]
    values = values or {"after": {"email": user.email}}
    for project_id in projects or [None]:
        audit.record(action=f"user.{verb}", by=by, now=now, project_id=project_id, target=user, **values)


@transaction.atomic
def add_member(*, project: Project, user: User, role: str, by: Actor, now: datetime) -> Membership:
    """Make a user a member; one who is a member already keeps the role."""
    access.require(by, project, Role.ADMIN)
    if role not in Role.values:
        raise Invalid({"role": role_errors(role)})
    membership, is_new = Membership.objects.get_or_create(
        project=project, user=user, defaults={"role": role, "created_at": now}
    )
    if is_new:
        audit.record(
            action="member.add",
            by=by,
            now=now,
            project_id=project.pk,
            target=membership,
            after={"email": user.email, "role": role},
        )
    return membership


@transaction.atomic
def ensure_first_login(*, password: str, by: Actor, now: datetime) -> tuple[User, bool]:
    """The superuser of `make run`, made with `password` when missing, and an admin of the demo project if there is one.

    The second value tells whether `password` opens it: False once its owner has chosen another.
    """
    user = User.objects.filter(email=FIRST_LOGIN).first()
    if user is None:
        user = User.objects.create_superuser(FIRST_LOGIN, password)
        audit.record(action="user.create", by=by, now=now, project_id=None, target=user, after={"email": FIRST_LOGIN})
    demo = Project.objects.filter(name=DEMO_PROJECT).order_by("pk").first()
    if demo is not None:
        add_member(project=demo, user=user, role=Role.ADMIN, by=by, now=now)
    return user, user.check_password(password)


def _new_account_id() -> str:
    """A fresh public id such as K7Q-4XM-2RPZ."""
    while True:
        groups = ("".join(secrets.choice(ACCOUNT_ID_LETTERS) for _ in range(size)) for size in ACCOUNT_ID_GROUPS)
        account_id = "-".join(groups)
        if not Project.objects.filter(account_id=account_id).exists():
            return account_id


def _check_project(name: str, timezone: str) -> None:
    errors: dict[str, list[str]] = {}
    if not name:
        errors["name"] = ["Enter a name for the project."]
    elif len(name) > NAME_CHARACTERS:
        errors["name"] = [f"The name has {len(name)} characters; {NAME_CHARACTERS} is the most."]
    elif "\0" in name:
        errors["name"] = ["The name must not contain control characters."]
    if timezone not in zone_names():
        errors["timezone"] = [_unknown_timezone(timezone)]
    if errors:
        raise Invalid(errors)


def _unknown_timezone(timezone: str) -> str:
    near = get_close_matches(timezone, zone_names(), n=1)
    return f"There is no time zone “{timezone}”. Use an IANA name such as {near[0] if near else 'Asia/Kolkata'}."


def email_errors(email: str) -> list[str]:
    try:
        validate_email(email)
    except ValidationError:
        return [f"“{email}” is not an email address."]
    return [] if len(email) <= EMAIL_CHARACTERS else [f"{EMAIL_CHARACTERS} characters are the most."]


def _taken(email: str) -> list[str]:
    taken = User.objects.filter(email=email).exists()
    return [f"There is a user with the email {email} already."] if taken else []


def role_errors(role: str) -> list[str]:
    return [] if role in Role.values else [f"There is no role “{role}”. Choose one of: {', '.join(Role.values)}."]


def _password_errors(password: str, email: str) -> list[str]:
    try:
        validate_password(password, User(email=email))
    except ValidationError as error:
        return list(error.messages)
    return []
