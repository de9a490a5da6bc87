"""A project and signed-in members of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page

from projects.models import Project, Role, User
from tests.factories import IntegrationFactory, MembershipFactory, ProjectFactory, UserFactory
from tests.pages.browsing import EMAIL, listen, sign_in, unexpected
from tests.pages.html import Site
from tests.pages.scene import paint


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
def scene(live_server: Any) -> tuple[Project, dict[str, str]]:
    """For tests in a browser: a project with something on every page, and its pages."""
    return paint(EMAIL)


@pytest.fixture
def root(scene: tuple[Project, dict[str, str]], live_server: Any) -> str:
    return f"{live_server.url}/{scene[0].account_id}"


@pytest.fixture
def exports(root: str) -> str:
    return f"{root}/settings/partners/exports/"


@pytest.fixture
def signed_in(page: Page, live_server: Any, scene: Any) -> Iterator[Page]:
    """A browser in which Asha has signed in. Whatever the console calls an error fails the test."""
    errors = listen(page)
    sign_in(page, live_server.url)
    yield page
    assert unexpected(errors) == []


@pytest.fixture
def integration(project: Project) -> Any:
    return IntegrationFactory(project=project, nickname="Growth analytics", key_hint="9f3c")
