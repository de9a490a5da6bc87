"""What every page of a project begins with: may this user see it, in which role, in which time zone."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from exports_portal.common.audit import actor_of
from projects import access
from projects.access import EDITORS
from projects.models import Project, Role, User

View = Callable[..., HttpResponseBase]


class ProjectRequest(HttpRequest):
    """A request inside a project, as `project_page` hands it on."""

    project: Project
    role: Role | None
    htmx: Any


def project_page(*roles: Role) -> Callable[[View], View]:
    """Hand the project of the address to the view; 404 for strangers, 403 for members without one of `roles`.

    The view runs in the project's time zone. `request.project` and `request.role` are set.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def page(request: ProjectRequest, account_id: str, **captured: Any) -> HttpResponseBase:
            project = access.project_for(request.user, account_id)
            request.project = project
            by, user = actor_of(request), cast(User, request.user)
            request.role = access.require(by, project, *roles) if roles else access.role_in(user, project)
            with timezone.override(project.tz):
                return view(request, project, **captured)

        return page

    return decorate


def may_edit(request: ProjectRequest) -> bool:
    """Whether the user may create and change exports."""
    return request.role in EDITORS


def is_admin(request: ProjectRequest) -> bool:
    """Whether the user may change integrations, the project and its team."""
    return request.role == Role.ADMIN
