"""Who may see and do what in a project."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404

from exports_portal.common.audit import Actor
from projects.models import Membership, Project, Role, User

EDITORS = (Role.MARKETER, Role.ADMIN)


def projects_of(user: Any) -> QuerySet[Project]:
    """The projects that a user may open, by name: a superuser's are all."""
    projects = Project.objects.order_by("name", "pk")
    return projects if user.is_superuser else projects.filter(memberships__user=user)


def project_for(user: Any, account_id: str) -> Project:
    """The project behind an address. Raises Http404 unless the user is a member of it, or a superuser."""
    project = projects_of(user).filter(account_id=account_id.replace("\0", "?")).first()  # PostgreSQL takes no NUL
    if project is None:
        raise Http404("There is no such project, or you are not a member of it.")
    return project


def role_in(user: User, project: Project) -> Role | None:
    """The user's role in a project; a superuser is an admin everywhere. None for strangers."""
    if user.is_superuser:
        return Role.ADMIN
    role = Membership.objects.filter(user=user, project=project).values_list("role", flat=True).first()
    return Role(role) if role else None


def require(by: Actor, project: Project, *roles: Role) -> Role:
    """The role of who acts. Raises PermissionDenied, with a sentence, unless it is one of `roles`.

    Every verb begins with it, so pages, REST and admin agree. Parts of the portal and its commands may do everything.
    """
    role = _role_of(by, project)
    if role is None or role not in roles:
        names = " or ".join(allowed.label.lower() for allowed in roles)
        raise PermissionDenied(f"This needs the role {names} in {project.name}. Ask an admin of the project for it.")
    return role


def require_superuser(by: Actor) -> None:
    """The same for what belongs to no project. Raises PermissionDenied."""
    if by.grant or (by.id and not User.objects.filter(pk=by.id, is_active=True, is_superuser=True).exists()):
        raise PermissionDenied("Only a superuser may do this.")


def is_above(by: Actor, user: User) -> bool:
    """Whether `by` may do all that this user may. Only then may `by` set their password or address, or delete them.

    That is superusers, and of those without rights in the admin the admins of every project that they are in. A program
    is the admin of one project at most.
    """
    own: Any
    if by.grant is not None:
        own = [by.grant.project_id] if by.grant.role == Role.ADMIN else []
    elif by.id is None:
        return True
    else:
        acting = User.objects.filter(pk=by.id, is_active=True).first()
        if acting is None or acting.is_superuser:
            return acting is not None
        own = acting.memberships.filter(role=Role.ADMIN).values("project")
    return not (user.is_staff or user.is_superuser or user.memberships.exclude(project__in=own).exists())


def _role_of(by: Actor, project: Project) -> Role | None:
    if by.grant is not None:
        return Role(by.grant.role) if by.grant.project_id == project.pk else None
    if by.id is None:
        return Role.ADMIN
    user = User.objects.filter(pk=by.id, is_active=True).first()
    return role_in(user, project) if user else None
