"""What the frame around every page shows: projects, time zone, user, which section is open."""

from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from projects.access import projects_of
from projects.models import Project, Role

SECTIONS = {
    ("events", "event-list"): "events",
    ("events", "profile-list"): "profiles",
    ("events", "profile-view"): "profiles",
    ("projects", "team-list"): "team",
    ("projects", "team-invite"): "team",
    ("projects", "invitation-revoke"): "team",
    ("projects", "member-role"): "team",
    ("projects", "member-password"): "team",
    ("projects", "member-remove"): "team",
    ("events", "schema-list"): "schema",
    ("events", "schema-stream"): "schema",
    ("events", "schema-name"): "schema",
    ("events", "schema-discard"): "schema",
    ("events", "schema-restore"): "schema",
}
SECTIONS_OF_APPS = {
    "partners": "partners",
    "exports": "partners",
    "projects": "project",
    "notifications": "project",
    "sources": "project",
}


class Shell:
    """Read by templates only; asks the database for nothing that is not shown."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        # A request that is refused before anybody is looked up, as for a wrong host, has no user.
        self.user = getattr(request, "user", AnonymousUser())
        self.sandbox = settings.PORTAL_SANDBOX

    @property
    def project(self) -> Project | None:
        return getattr(self._request, "project", None)

    @cached_property
    def projects(self) -> list[Project]:
        return list(projects_of(self.user))

    @property
    def role_label(self) -> str:
        role: Role | None = getattr(self._request, "role", None)
        return role.label if role else ""

    @property
    def zone(self) -> str:
        """ "Asia/Kolkata (UTC+05:30)" """
        assert self.project is not None
        return f"{self.project.timezone} ({self.offset})"

    @property
    def offset(self) -> str:
        """ "UTC+05:30", where there is no room for more."""
        assert self.project is not None
        offset = datetime.now(self.project.tz).strftime("%z")
        return f"UTC{offset[:3]}:{offset[3:]}"

    @property
    def section(self) -> str:
        match = self._request.resolver_match
        if match is None:
            return ""
        known = SECTIONS.get((match.app_name, match.url_name or ""))
        return known or SECTIONS_OF_APPS.get(match.app_name, "")


def shell(request: HttpRequest) -> dict[str, Any]:
    """For every template of a request."""
    return {"shell": Shell(request)}
