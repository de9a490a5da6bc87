"""Who may see and do what in a project."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404

from projects.models import Membership, Project, Role, User


def projects_of(user: Any) -> Any:
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


def require_role(user: User, project: Project, *roles: Role) -> None:
    """Raises PermissionDenied, with a sentence, unless the user has one of `roles` in the project."""
    if role_in(user, project) not in roles:
        names = " or ".join(role.label.lower() for role in roles)
        raise PermissionDenied(f"This needs the role {names} in {project.name}. Ask an admin of the project for it.")
