"""A project, and an account at CleverTap to import from."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from pytest_httpserver import HTTPServer

from projects.models import Project
from sources.actions import create_source
from sources.models import Source
from sources.spec import SourceSpec
from tests.events.capture import NOW
from tests.factories import TESTS, ProjectFactory
from tests.sources.account import Account


@pytest.fixture
def project() -> Project:
    return ProjectFactory(timezone="UTC")


@pytest.fixture
def account(httpserver: HTTPServer, settings: Any) -> Iterator[Account]:
    settings.CLEVERTAP_URL = httpserver.url_for("")
    yield Account(httpserver)
    redis.Redis.from_url(django_settings.CELERY_BROKER_URL).flushdb()


def source_of(project: Project, **changes: Any) -> Source:
    """One day, 19 November, of one event."""
    day = date(2026, 11, 19)
    now = changes.pop("now", NOW)
    spec = SourceSpec(
        "ABC-DEF-GHIJ", "in1", "Asia/Kolkata", ["UTM Visited"], day, day, passcode="OLS-ABC-1234-passcode"
    )
    return create_source(project=project, spec=replace(spec, **changes), by=TESTS, now=now)
