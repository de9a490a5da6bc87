"""Passcodes and tokens: stored as a digest, shown once, revoked at once, one query to look up."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.models import AuditEntry
from projects.actions import add_member, create_project
from projects.credentials import (
    create_credential,
    credential_for_token,
    project_for_passcode,
    revoke_credential,
    rotate_credential,
)
from projects.models import Credential
from tests.factories import TESTS, ProjectFactory, UserFactory, passcode_for, token_for

pytestmark = pytest.mark.django_db


def test_only_a_digest_of_256_random_bits_is_stored():
    credential, value = create_credential(project=ProjectFactory(), kind="passcode", by=TESTS, now=timezone.now())
    assert len(value) == 43  # 32 bytes in base 64
    assert credential.digest == hashlib.sha256(value.encode()).hexdigest()
    assert value.endswith(credential.last_four)
    stored = Credential.objects.values().get(pk=credential.pk)
    assert value not in map(str, stored.values())


def test_the_audit_log_holds_no_value():
    project = ProjectFactory()
    values = [passcode_for(project), token_for(project)]
    entries = str(list(AuditEntry.objects.values()))
    assert AuditEntry.objects.filter(action="credential.create", project_id=project.pk).count() == 2
    assert not any(value in entries for value in values)


def test_what_is_made_bears_the_time_that_the_verb_was_given():
    now = datetime(2026, 11, 1, tzinfo=UTC)
    new = create_project(name="Chai", timezone="UTC", by=TESTS, now=now)
    member = add_member(project=new.project, user=UserFactory(), role="viewer", by=TESTS, now=now)
    made = [new.project, member, *new.project.credentials.all()]
    assert {row.created_at for row in made} == {now}


def test_passcodes_and_tokens_are_not_interchangeable():
    project = ProjectFactory()
    assert project_for_passcode(project.account_id, token_for(project)) is None
    assert credential_for_token(passcode_for(project)) is None


def test_a_passcode_opens_its_own_account_only():
    project, other = ProjectFactory(), ProjectFactory()
    passcode = passcode_for(project)
    assert project_for_passcode(project.account_id, passcode) == project
    assert project_for_passcode(other.account_id, passcode) is None


@pytest.mark.parametrize("value", ["", "x", "\ud800", "é", "x" * 100_000])
def test_nonsense_opens_nothing(value):
    assert credential_for_token(value) is None
    assert project_for_passcode("TST-000-0000", value) is None


def test_looking_up_takes_one_query_and_notes_the_use_once_a_minute(django_assert_num_queries):
    project = ProjectFactory()
    passcode, token = passcode_for(project), token_for(project)
    for queries in (2, 1):
        with django_assert_num_queries(queries):
            project_for_passcode(project.account_id, passcode)
        with django_assert_num_queries(queries):
            credential_for_token(token)
    first = list(project.credentials.values_list("last_used_at", flat=True))
    assert None not in first
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        credential_for_token(token)
    assert project.credentials.get(kind="api_token").last_used_at > max(first)


def test_a_passcode_of_another_account_counts_as_no_use():
    passcode = passcode_for(ProjectFactory())
    project_for_passcode(ProjectFactory().account_id, passcode)
    assert Credential.objects.get().last_used_at is None


def test_rotating_makes_the_same_anew_and_revokes_the_old():
    project = ProjectFactory()
    old, value = create_credential(
        project=project, kind="api_token", label="CI", access="read_only", by=TESTS, now=timezone.now()
    )
    new, other = rotate_credential(credential=old, by=TESTS, now=timezone.now())
    assert (new.kind, new.label, new.access) == ("api_token", "CI", "read_only")
    assert credential_for_token(value) is None
    assert credential_for_token(other) == new
    with pytest.raises(Refused, match="Create a new one"):
        rotate_credential(credential=old, by=TESTS, now=timezone.now())


def test_two_who_rotate_at_once_make_one():
    token_for(ProjectFactory())
    first, second = Credential.objects.get(), Credential.objects.get()  # both loaded before either acts
    rotate_credential(credential=first, by=TESTS, now=timezone.now())
    with pytest.raises(Refused, match="Create a new one"):
        rotate_credential(credential=second, by=TESTS, now=timezone.now())
    assert Credential.objects.filter(revoked_at=None).count() == 1


def test_what_is_revoked_opens_nothing_and_revoking_twice_is_harmless():
    project = ProjectFactory()
    token = token_for(project)
    credential = Credential.objects.get()
    for _ in range(2):
        revoke_credential(credential=credential, by=TESTS, now=timezone.now())
    assert credential_for_token(token) is None
    assert AuditEntry.objects.filter(action="credential.revoke").count() == 1


@pytest.mark.parametrize(
    "given", [{"kind": "key"}, {"label": "x" * 81}, {"label": "a\0"}, {"access": "some"}, {"access": "read_only"}]
)
def test_a_wrong_credential_is_told_at_its_field(given):
    with pytest.raises(Invalid) as caught:
        create_credential(
            **{"project": ProjectFactory(), "kind": "passcode", "by": TESTS, "now": timezone.now(), **given}
        )
    assert set(caught.value.errors) == set(given)


def test_a_new_projects_secrets_do_not_show_in_its_repr():
    new = create_project(name="Chai", timezone="UTC", by=TESTS, now=timezone.now())
    assert new.passcode not in repr(new)
    assert new.api_token not in repr(new)
    groups = new.project.account_id.split("-")
    assert [len(group) for group in groups] == [3, 3, 4]
