"""A source whose passcode no key opens any more: it is seen, mended and stopped like any other."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse

from projects.models import Project, Role
from sources import actions
from sources.models import Source
from sources.spec import spec_of
from sources.work import ring_due
from tests.events.capture import NOW
from tests.factories import TESTS, MembershipFactory, UserFactory, token_for
from tests.sources.account import Account, record
from tests.sources.conftest import source_of
from tests.sources.turns import numbers, turn

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lost(project: Project, settings: Any) -> Source:
    source = source_of(project)
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    return Source.objects.get(pk=source.pk)


@pytest.fixture
def browser(project: Project) -> Client:
    """Of a superuser who is an admin of the project."""
    user = UserFactory(is_staff=True, is_superuser=True)
    MembershipFactory(project=project, user=user, role=Role.ADMIN)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.parametrize("model", ["source", "pull"])
def test_the_admin_opens(browser: Client, lost: Source, model: str) -> None:
    row = lost if model == "source" else lost.pulls.get()
    for page, args in (("changelist", []), ("change", [row.pk]), ("history", [row.pk])):
        assert browser.get(reverse(f"admin:sources_{model}_{page}", args=args)).status_code == 200, page


def test_its_pages_open(browser: Client, project: Project, lost: Source) -> None:
    for name, args in (("list", []), ("view", [lost.pk]), ("edit", [lost.pk]), ("stop", [lost.pk])):
        answer = browser.get(reverse(f"sources:source-{name}", args=[project.account_id, *args]))
        assert (answer.status_code, "ABC-DEF-GHIJ" in answer.content.decode()) == (200, True), name


def test_rest_answers(project: Project, lost: Source) -> None:
    headers = {"Authorization": f"Bearer {token_for(project)}"}
    for path in ("", f"{lost.pk}/", f"{lost.pk}/days/"):
        assert Client().get(f"/api/v1/sources/{path}", headers=headers).status_code == 200, path


def test_a_new_passcode_mends_it(project: Project, account: Account, lost: Source) -> None:
    account.days["UTM Visited", 20261119] = [[record(1)]]
    assert ring_due(now=NOW) == 1
    assert "PORTAL_ENCRYPTION_KEYS" in turn(lost).fault
    actions.edit_source(source=lost, spec=replace(spec_of(lost), passcode="the-new-one"), by=TESTS, now=NOW)
    turn(lost)
    assert numbers(project) == [1]


def test_it_can_be_stopped(lost: Source) -> None:
    actions.stop_source(source=lost, by=TESTS, now=NOW)
    assert Source.objects.get().passcode == ""
