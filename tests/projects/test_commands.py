"""manage.py create_project, create_user and ensure_first_login: names and shapes that others build on."""

import io
import json
import re
import stat
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from projects.actions import DEMO_PROJECT, FIRST_LOGIN
from projects.credentials import credential_for_token, project_for_passcode
from projects.models import Membership, Project, User
from tests.factories import PASSWORD, ProjectFactory, UserFactory

pytestmark = pytest.mark.django_db


def run(name, *args, **options):
    out = io.StringIO()
    call_command(name, *args, stdout=out, **options)
    return out.getvalue()


def create_user(monkeypatch, email, password=PASSWORD, role="marketer", account_id=None):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    account_id = account_id or ProjectFactory().account_id
    return run("create_user", email, "--password-stdin", project=account_id, role=role)


def test_create_project_prints_what_opens_it():
    shown = json.loads(run("create_project", "Chai & Co", "--timezone", "Asia/Kolkata", "--json"))
    assert set(shown) == {"account_id", "passcode", "api_token"}
    project = Project.objects.get(account_id=shown["account_id"])
    assert (project.name, project.timezone) == ("Chai & Co", "Asia/Kolkata")
    assert project_for_passcode(shown["account_id"], shown["passcode"]) == project
    credential = credential_for_token(shown["api_token"])
    assert credential is not None
    assert credential.project == project


def test_without_json_the_same_is_printed_for_people():
    lines = run("create_project", "Chai").splitlines()
    assert [line.split()[0] for line in lines] == ["account_id", "passcode", "api_token"]


@pytest.mark.parametrize(
    ("name", "timezone", "words"),
    [
        ("Chai", "Asia/Calcuta", "There is no time zone “Asia/Calcuta”. Use an IANA name such as Asia/Calcutta."),
        ("Chai", "", "There is no time zone “”."),
        ("Chai", "../../etc/passwd", "There is no time zone"),
        ("Chai", "localtime", "There is no time zone"),
        ("", "UTC", "Enter a name for the project."),
        ("x" * 121, "UTC", "120 is the most"),
    ],
)
def test_a_wrong_project_is_one_clear_sentence(name, timezone, words):
    with pytest.raises(CommandError, match=re.escape(words)) as caught:
        run("create_project", name, "--timezone", timezone, "--json")
    assert caught.value.returncode == 1
    assert not Project.objects.exists()


def test_create_user_makes_a_member_who_can_sign_in(monkeypatch, client):
    project = ProjectFactory()
    create_user(monkeypatch, "Mira@Example.com", account_id=project.account_id)
    membership = Membership.objects.get(project=project)
    assert (membership.user.email, membership.role) == ("mira@example.com", "marketer")
    assert membership.user.check_password(PASSWORD)
    assert not membership.user.is_staff


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"email": "mira"}, "“mira” is not an email address."),
        ({"password": "short"}, "too short"),
        ({"password": "12345678901"}, "entirely numeric"),
        ({"password": "password123"}, "too common"),
        ({"password": ""}, "too short"),
        ({"role": "boss"}, "Choose one of: viewer, marketer, admin."),
        ({"account_id": "NOP-E00-0000"}, "no project with the account id “NOP-E00-0000”"),
    ],
)
def test_a_wrong_user_is_one_clear_sentence(monkeypatch, given, words):
    with pytest.raises(CommandError, match=re.escape(words)) as caught:
        create_user(monkeypatch, **{"email": "mira@example.com", **given})
    assert "\n" not in str(caught.value)
    assert caught.value.returncode == 1
    assert not User.objects.exists()


def test_an_email_is_taken_whatever_its_case(monkeypatch):
    UserFactory(email="mira@example.com")
    with pytest.raises(CommandError, match=re.escape("There is a user with the email mira@example.com already")):
        create_user(monkeypatch, "MIRA@example.com")


def test_the_first_login_is_the_same_on_every_start(settings, tmp_path):
    settings.PORTAL_DATA_DIR = tmp_path
    first, second = (json.loads(run("ensure_first_login", "--json")) for _ in range(2))
    assert first == second
    assert first["email"] == FIRST_LOGIN
    user = User.objects.get(email=FIRST_LOGIN)
    assert user.is_superuser
    assert user.check_password(first["password"])
    kept = Path(tmp_path, "keys", "first_login")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text() == first["password"]


def test_two_portals_have_different_first_passwords(settings, tmp_path):
    passwords = set()
    for folder in ("one", "two"):
        User.objects.all().delete()
        settings.PORTAL_DATA_DIR = tmp_path / folder
        passwords.add(json.loads(run("ensure_first_login", "--json"))["password"])
    assert len(passwords) == 2


def test_a_password_that_was_changed_is_neither_reset_nor_printed(settings, tmp_path):
    settings.PORTAL_DATA_DIR = tmp_path
    run("ensure_first_login", "--json")
    user = User.objects.get(email=FIRST_LOGIN)
    user.set_password(PASSWORD)
    user.save()
    assert json.loads(run("ensure_first_login", "--json")) == {"email": FIRST_LOGIN, "password": None}
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_the_first_login_belongs_to_the_demo_project_once(settings, tmp_path):
    settings.PORTAL_DATA_DIR = tmp_path
    demo = ProjectFactory(name=DEMO_PROJECT)
    ProjectFactory(name="Another")
    for _ in range(2):
        run("ensure_first_login", "--json")
    assert list(Membership.objects.values_list("project", "role")) == [(demo.pk, "admin")]
