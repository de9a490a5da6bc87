"""A project with one of everything, and everybody who may ask for it."""

from typing import Any, NamedTuple

import pytest
from django.utils import timezone

from projects.models import Project, Role, User
from projects.team import invite
from tests.factories import (
    TESTS,
    EventFactory,
    ExportFactory,
    IntegrationFactory,
    MembershipFactory,
    ProjectFactory,
    RejectedFactory,
    RunFactory,
    SourceFactory,
    UserFactory,
    passcode_for,
)


class World(NamedTuple):
    project: Project
    keys: dict[str, int]
    people: dict[str, User]
    stranger: User
    root: User


@pytest.fixture
def world(db: Any, settings: Any) -> World:
    """A project with one of everything, a member in each role, an admin of another project, and a superuser."""
    settings.AMPLITUDE_EU_URL = settings.AMPLITUDE_STANDARD_URL = "http://127.0.0.1:1"
    project = ProjectFactory()
    members = {role: MembershipFactory(project=project, role=role) for role in Role}
    integration = IntegrationFactory(project=project)
    export = ExportFactory(project=project, integration=integration, recurring=True)
    run = RunFactory(export=export, done=True, counts={"rejected": 1})
    RejectedFactory(run=run)
    passcode_for(project)
    now = timezone.now()
    invitation, *_ = invite(project=project, email="mira@example.com", role="viewer", by=TESTS, now=now)
    keys = {
        "integration": integration.pk,
        "export": export.pk,
        "run": run.pk,
        "person": (event := EventFactory(project=project)).person_id,
        "name": event.name_id,
        "source": SourceFactory(project=project).pk,
        "credential": project.credentials.get().pk,
        "invitation": invitation.pk,
        "member": members[Role.VIEWER].pk,
    }
    people = {role: membership.user for role, membership in members.items()}
    return World(project, keys, people, MembershipFactory(role=Role.ADMIN).user, UserFactory(superuser=True))
