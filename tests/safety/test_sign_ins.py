"""Who guesses passwords is locked out, and nothing of a sign-in is kept that is a secret or nobody needs."""

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from projects import sign_ins, team
from projects.models import Role, User
from tests.factories import PASSWORD, TESTS, MembershipFactory, ProjectFactory, UserFactory

pytestmark = pytest.mark.django_db
NEW = "a much better passphrase"


@pytest.fixture
def user() -> User:
    return UserFactory(email="asha@example.com")


@pytest.fixture(autouse=True)
def address_limit(settings: Any) -> None:
    """These tests share addresses and the minute in which their sign-ins are counted, a limit with tests of its own."""
    settings.PORTAL_SIGN_INS_PER_MINUTE = 1_000


def at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


def sign_in(client: Client, email: str, password: str, **more: str) -> Any:
    return client.post("/login/", {"username": email, "password": password, **more})


@pytest.mark.parametrize("spelling", ["asha@example.com", " ASHA@Example.com "])
def test_ten_wrong_passwords_lock_the_account_for_this_address(user: User, spelling: str) -> None:
    other, guesser = UserFactory(), at("203.0.113.7")
    codes = [sign_in(guesser, spelling, "wrong").status_code for _ in range(10)]
    assert codes == [200] * 9 + [429]
    right = sign_in(guesser, "asha@example.com", PASSWORD)
    assert (right.status_code, right["Retry-After"]) == (429, "600")
    assert "_auth_user_id" not in guesser.session
    assert sign_in(guesser, other.email, "typo").status_code == 200
    assert sign_in(at("203.0.113.8"), user.email, PASSWORD).status_code == 302


@pytest.mark.parametrize(
    ("network", "elsewhere"),
    [("2001:db8:0:7:{}::1", "2001:db8:0:8::1"), ("::ffff:203.0.113.7", "::ffff:203.0.113.8")],
)
def test_a_network_of_ipv6_counts_as_one_address(user: User, network: str, elsewhere: str) -> None:
    codes = [sign_in(at(network.format(number)), user.email, "wrong").status_code for number in range(10)]
    assert codes == [200] * 9 + [429]
    assert sign_in(at(elsewhere), user.email, PASSWORD).status_code == 302


def test_the_admin_is_locked_as_well(user: User) -> None:
    user.is_staff = True
    user.save()
    guesser = at("203.0.113.7")
    for _ in range(10):
        sign_in(guesser, user.email, "wrong")
    right = guesser.post("/admin/login/", {"username": user.email, "password": PASSWORD})
    assert right.status_code == 429


def test_a_sign_in_forgives_the_typos_before_it(user: User) -> None:
    for _ in range(2):
        client = at("203.0.113.7")
        codes = [sign_in(client, user.email, "wrong").status_code for _ in range(9)]
        assert codes == [200] * 9
        assert sign_in(client, user.email, PASSWORD).status_code == 302


def test_the_old_password_is_not_guessed_in_a_session(user: User) -> None:
    client = at("203.0.113.7")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    def change(old: str) -> int:
        given = {"old_password": old, "new_password1": NEW, "new_password2": NEW}
        return client.post("/password/", given).status_code

    assert [change("wrong") for _ in range(10)] == [200] * 9 + [429]
    assert change(PASSWORD) == 429
    kept = str(list(AccessAttempt.objects.values()))
    assert not [word for word in ("wrong", "battery", "passphrase") if word in kept]
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_from_the_admin_one_comes_to_the_same_form(user: User) -> None:
    user.is_staff = True
    user.save()
    client = at("203.0.113.7")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/admin/password_change/").headers["Location"] == "/password/"
    client.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_of_an_invitation_the_link_is_not_kept(user: User) -> None:
    made = team.invite(project=ProjectFactory(), email="mira@example.com", role="viewer", by=TESTS, now=timezone.now())
    token = made.link.split("/")[-2]
    sign_in(Client(), user.email, "wrong", next=made.link)
    Client().get(f"/login/?next={made.link}")
    Client().post(f"/login/?next={made.link}", {"username": user.email, "password": "wrong"})
    client = Client()
    assert client.post(made.link, {"password": NEW, "again": NEW}).status_code == 302
    kept = str([*AccessAttempt.objects.values(), *AccessLog.objects.values()])
    assert "/invitation/***" in kept
    assert token not in kept


def test_what_is_over_is_deleted(user: User) -> None:
    client, now = Client(), timezone.now()
    sign_in(client, user.email, "wrong", next="/")
    sign_in(client, UserFactory().email, PASSWORD)
    counts = lambda: [model.objects.count() for model in (Session, AccessAttempt, AccessLog)]  # noqa: E731
    sign_ins.forget(now=now)
    assert counts() == [1, 1, 1]
    sign_ins.forget(now=now + timedelta(minutes=11))
    assert counts() == [1, 0, 1]
    sign_ins.forget(now=now + timedelta(days=366))
    assert counts() == [0, 0, 0]


@pytest.fixture
def clerk() -> Client:
    """A browser of a superuser."""
    client = Client()
    client.force_login(UserFactory(superuser=True), backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_in_the_admin_attempts_are_unlocked_and_not_edited(user: User, clerk: Client) -> None:
    for _ in range(10):
        sign_in(at("203.0.113.7"), user.email, "wrong")
    attempt = AccessAttempt.objects.get()
    address = "/admin/axes/accessattempt/"
    assert user.email in clerk.get(f"{address}?q={user.email}").content.decode()
    assert clerk.get(f"{address}{attempt.pk}/change/").status_code == 200
    assert clerk.post(f"{address}{attempt.pk}/change/", {"failures_since_start": "0"}).status_code == 403
    assert clerk.post("/admin/axes/accesslog/add/", {}).status_code == 403
    clerk.post(address, {"action": "unlock", "_selected_action": [attempt.pk]})
    assert sign_in(at("203.0.113.7"), user.email, PASSWORD).status_code == 302
    assert AccessLog.objects.filter(username=user.email).exists()


def test_a_forged_address_stands_in_no_log(user: User, settings: Any, caplog: Any) -> None:
    client = Client(headers={"X-Forwarded-For": "6.6.6.6"})
    MembershipFactory(user=user, role=Role.ADMIN)
    with caplog.at_level("INFO"):
        client.get("/login/")
    (line,) = [record for record in caplog.records if "request_finished" in record.getMessage()]
    assert "6.6.6.6" not in str(vars(line))
    assert "127.0.0.1" in str(vars(line))
