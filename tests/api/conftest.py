"""A project with a token, and a client that carries it."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from projects.models import Project
from tests.factories import ProjectFactory, token_for


@pytest.fixture
def project(db: Any) -> Project:
    return ProjectFactory()


@pytest.fixture
def api(project: Project) -> APIClient:
    """Raises nothing for 500s of ours: they fail the test as they are."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_for(project)}")
    return client
