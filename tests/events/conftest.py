"""A project, and the headers with which it calls CleverTap's API."""

import pytest
from django.utils import timezone

from projects.actions import create_project
from projects.models import Project
from tests.factories import TESTS, passcode_for


@pytest.fixture
def project() -> Project:
    return create_project(name="Shop", timezone="Asia/Kolkata", by=TESTS, now=timezone.now()).project


@pytest.fixture
def headers(project: Project) -> dict[str, str]:
    return {"X-CleverTap-Account-Id": project.account_id, "X-CleverTap-Passcode": passcode_for(project)}
