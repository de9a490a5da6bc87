"""The audit log: nobody changes it, it tells from where, and it holds no secret."""

import json

import pytest
from django.db import connection, transaction
from django.db.utils import InternalError, ProgrammingError
from django.test import Client
from django.utils import timezone

from exports_portal.common import audit
from exports_portal.common.models import AuditEntry
from tests.factories import API_KEY, PASSWORD, TESTS, MembershipFactory, ProjectFactory, token_for
from tests.safety.addresses import browser

pytestmark = pytest.mark.django_db
REFUSED = (InternalError, ProgrammingError)


@pytest.fixture
def entry():
    project = ProjectFactory()
    audit.record(action="test.act", by=TESTS, now=timezone.now(), project_id=project.pk, target=project)
    return AuditEntry.objects.get()


def run(*statements):
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE common_auditentry SET actor = 'nobody'",
        "DELETE FROM common_auditentry",
        "TRUNCATE common_auditentry",
        "SET LOCAL portal.retention = 'on'; UPDATE common_auditentry SET actor = 'nobody'",
    ],
)
def test_the_database_refuses_to_change_or_empty_it(entry, statement):
    with pytest.raises(REFUSED, match="append-only"):
        run("SET LOCAL portal.flush = 'off'", statement)  # tests may empty their database
    assert AuditEntry.objects.get().actor == "tests"


def test_what_retention_removes_it_says_so_for(entry):
    run("SET LOCAL portal.retention = 'on'", "DELETE FROM common_auditentry")
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.7", "127.0.0.1"),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (2, "198.51.100.1, 203.0.113.7", "198.51.100.1"),
        (2, "203.0.113.7", "127.0.0.1"),
        (1, "<script>", "127.0.0.1"),
        (1, "", "127.0.0.1"),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_it_tells_from_which_address(settings, proxies, forwarded, expected):
    settings.PORTAL_PROXIES = proxies
    membership = MembershipFactory(role="admin")
    client = browser(membership.user)
    path = f"/{membership.project.account_id}/settings/project/"
    client.post(path, {"name": "Chai", "timezone": "UTC"}, headers={"X-Forwarded-For": forwarded})
    assert AuditEntry.objects.get().address == expected


def test_a_program_is_told_by_its_token_and_address():
    project = ProjectFactory()
    client = Client(headers={"Authorization": f"Bearer {token_for(project)}"})
    client.patch("/api/v1/project/", {"name": "Chai"}, content_type="application/json")
    entry = AuditEntry.objects.get(action="project.edit")
    assert entry.actor.startswith("API token ••••")
    assert (entry.address, entry.actor_id) == ("127.0.0.1", None)


def test_it_holds_no_secret():
    project = ProjectFactory()
    token = token_for(project)
    client = Client(headers={"Authorization": f"Bearer {token}"})

    def post(path, body):
        answer = client.post(f"/api/v1/{path}", body, content_type="application/json")
        assert answer.status_code in (200, 201), answer.content
        return answer.json()

    made = [
        post("credentials/", {"kind": "passcode"})["value"],
        post("invitations/", {"email": "mira@example.com", "role": "viewer"})["link"],
    ]
    post("integrations/", {"partner": "amplitude", "nickname": "Growth", "api_key": API_KEY})
    accepted = Client().post(made[1], {"password": PASSWORD, "again": PASSWORD})
    assert accepted.status_code == 302
    held = json.dumps([[entry.actor, entry.before, entry.after] for entry in AuditEntry.objects.all()])
    secrets = [token, made[0], made[1].split("/")[-2], API_KEY, PASSWORD]
    assert [secret for secret in secrets if secret in held] == []
    assert AuditEntry.objects.count() == 7
