"""A project and signed-in members of it."""

from typing import Any

import pytest
from django.test import Client

from projects.models import Project, Role, User
from tests.factories import IntegrationFactory, MembershipFactory, ProjectFactory, UserFactory
from tests.pages.html import Site


@pytest.fixture
def project(db: Any) -> Project:
    return ProjectFactory(name="Kirana Mobile", account_id="TST-PAG-0001")


@pytest.fixture
def user(project: Project) -> User:
    """An admin of the project."""
    user: User = UserFactory(email="asha.rao@example.com")
    MembershipFactory(project=project, user=user, role=Role.ADMIN)
    return user


@pytest.fixture
def site(user: User) -> Site:
    """Asks for pages as that user."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return Site(client)


@pytest.fixture
def viewer_site(project: Project) -> Site:
    """Asks for pages as somebody who may only look."""
    user = UserFactory()
    MembershipFactory(project=project, user=user, role=Role.VIEWER)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return Site(client)


@pytest.fixture
def integration(project: Project) -> Any:
    return IntegrationFactory(project=project, nickname="Growth analytics", key_hint="9f3c")
