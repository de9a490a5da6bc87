"""REST: what a project was told, what it wants to hear of, and where that goes."""

import pytest
from django.utils import timezone

from exports_portal.common.models import AuditEntry
from notifications import actions
from notifications.actions import News
from notifications.models import Preferences

SETTINGS, WEBHOOK = "/api/v1/notifications/settings/", "/api/v1/notifications/webhook/"
URL = "https://hooks.example.com/of/mine"


def tell(project, title="“Nightly” cannot send"):
    news = News("failing", title, text="The key is invalid.", exports=[7])
    return actions.notify(project=project, news=news, now=timezone.now())


def test_settings_are_read_and_changed_one_by_one(api, project):
    assert api.get(SETTINGS).json()["rejected_percent"] == 5
    changed = api.patch(SETTINGS, {"kinds": ["lag", "failing"], "emails": ["Ops@Example.com"], "lag_minutes": 9}).json()
    assert (changed["kinds"], changed["emails"], changed["lag_minutes"]) == (
        ["failing", "lag"], ["ops@example.com"], 9,
    )  # fmt: skip
    assert (
        api.patch(SETTINGS, {"empty_windows": 2}).json() == {**changed, "empty_windows": 2} == api.get(SETTINGS).json()
    )
    assert AuditEntry.objects.latest("pk").after["empty_windows"] == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kinds": ["failing", "test"]}, "kinds"),
        ({"kinds": ["weather"]}, "kinds"),
        ({"emails": ["nobody"]}, "emails"),
        ({"emails": [f"{number}@example.com" for number in range(21)]}, "emails"),
        ({"rejected_percent": 0}, "rejected_percent"),
        ({"lag_minutes": 10**12}, "lag_minutes"),
        ({"webhook_host": "example.com"}, "webhook_host"),
    ],
)
def test_wrong_settings_are_400_at_their_field_and_change_nothing(api, project, body, field):
    answer = api.patch(SETTINGS, {"empty_windows": 9, **body})
    assert (answer.status_code, set(answer.json())) == (400, {field})
    assert not Preferences.objects.filter(project=project, empty_windows=9).exists()


def test_a_webhook_is_set_and_removed_and_its_secret_shown_once(api, project):
    made = api.put(WEBHOOK, {"url": URL}).json()
    assert (made["webhook_host"], made["secret"][:6]) == ("hooks.example.com", "whsec_")
    assert api.put(WEBHOOK, {"url": URL}).json()["secret"] != made["secret"]
    assert set(api.put(WEBHOOK, {"url": "ftp://example.com"}).json()) == {"url"}
    shown = api.get(SETTINGS).content.decode()
    assert "hooks.example.com" in shown
    assert "/of/mine" not in shown
    for _ in range(2):
        assert api.delete(WEBHOOK).status_code == 204
    assert api.get(SETTINGS).json()["webhook_host"] == ""


def test_a_test_needs_somebody_to_send_to(api, project):
    assert api.post("/api/v1/notifications/test/").status_code == 409
    api.patch(SETTINGS, {"emails": ["ops@example.com"]})
    made = api.post("/api/v1/notifications/test/")
    assert made.status_code == 201
    (shown,) = api.get("/api/v1/notifications/").json()["results"]
    assert shown == made.json()
    (dispatch,) = shown["dispatches"]
    assert (dispatch["channel"], dispatch["recipient"], dispatch["sent_at"]) == ("mail", "ops@example.com", None)


def test_the_list_is_newest_first_and_costs_the_same_for_any_length(api, project, django_assert_num_queries):
    tell(project, "first")
    api.get("/api/v1/notifications/")  # its token is noted as used
    with django_assert_num_queries(5):
        assert api.get("/api/v1/notifications/").json()["count"] == 1
    for number in range(12):
        tell(project, f"“{number}” cannot send")
    with django_assert_num_queries(5):
        shown = api.get("/api/v1/notifications/?page_size=10").json()
    assert (shown["count"], shown["results"][0]["title"]) == (13, "“11” cannot send")
