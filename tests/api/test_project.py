"""REST: the project, its credentials, its team and its audit log."""

import csv
import io

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from projects.actions import edit_project
from projects.credentials import create_credential, credential_for_token
from projects.models import Project, Role
from tests.factories import TESTS, ExportFactory, MembershipFactory, RejectedFactory, RunFactory


@pytest.fixture
def reader(project):
    """A client with a read-only token."""
    _, value = create_credential(
        project=project, kind="api_token", access="read_only", label="Dash", by=TESTS, now=timezone.now()
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {value}")
    return client


def test_the_project_is_read_and_changed(api, project):
    assert api.get("/api/v1/project/").json()["account_id"] == project.account_id
    assert api.patch("/api/v1/project/", {"timezone": "Europe/Berlin"}).json()["timezone"] == "Europe/Berlin"
    wrong = api.patch("/api/v1/project/", {"name": " ", "timezone": "Mars"})
    assert (wrong.status_code, set(wrong.json())) == (400, {"name"})
    wrong = api.patch("/api/v1/project/", {"timezone": "Mars"})
    assert (wrong.status_code, set(wrong.json())) == (400, {"timezone"})
    kept = api.patch("/api/v1/project/", {"keep_events_days": 400})
    assert (kept.json()["keep_events_days"], kept.json()["keep_audit_days"]) == (400, None)
    assert set(api.patch("/api/v1/project/", {"keep_events_days": 0}).json()) == {"keep_events_days"}
    project.refresh_from_db()
    assert (project.timezone, project.keep_events_days) == ("Europe/Berlin", 400)


def test_what_a_change_leaves_out_stays_as_somebody_has_set_it_meanwhile(project):
    old = Project.objects.get(pk=project.pk)
    edit_project(project=project, timezone="Asia/Tokyo", retention={"events": 400}, by=TESTS, now=timezone.now())
    edit_project(project=old, name="Chai", retention={"runs": 90}, by=TESTS, now=timezone.now())
    project.refresh_from_db()
    assert (project.name, project.timezone) == ("Chai", "Asia/Tokyo")
    assert (project.keep_events_days, project.keep_runs_days) == (400, 90)


def test_a_read_only_token_reads_and_changes_nothing(reader, project):
    export = ExportFactory(project=project, recurring=True)
    assert reader.get(f"/api/v1/exports/{export.pk}/").status_code == 200
    answer = reader.post(f"/api/v1/exports/{export.pk}/stop/")
    assert answer.status_code == 403
    assert "role marketer or admin" in answer.json()["detail"]
    export.refresh_from_db()
    assert export.status == "PENDING"


def test_a_credential_is_shown_once_rotated_and_revoked(api):
    made = api.post("/api/v1/credentials/", {"kind": "api_token", "label": "CI", "access": "read_only"})
    assert made.status_code == 201
    credential = credential_for_token(made.json()["value"])
    assert credential is not None
    assert (credential.label, credential.access) == ("CI", "read_only")
    rows = api.get("/api/v1/credentials/").json()["results"]
    assert rows[0]["last_used_at"] is not None
    assert all("value" not in row for row in rows)
    rotated = api.post(f"/api/v1/credentials/{credential.pk}/rotate/")
    assert credential_for_token(made.json()["value"]) is None
    assert credential_for_token(rotated.json()["value"]) is not None
    assert api.post(f"/api/v1/credentials/{credential.pk}/rotate/").status_code == 409
    for _ in range(2):
        assert api.post(f"/api/v1/credentials/{rotated.json()['id']}/revoke/").json()["revoked_at"] is not None
    assert credential_for_token(rotated.json()["value"]) is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "key"}, "kind"),
        ({}, "kind"),
        ({"kind": "passcode", "access": "read_only"}, "access"),
        ({"kind": "api_token", "label": "x" * 81}, "label"),
        ({"kind": "api_token", "scope": "all"}, "scope"),
    ],
)
def test_a_wrong_credential_is_400_at_its_field(api, body, field):
    answer = api.post("/api/v1/credentials/", body)
    assert (answer.status_code, set(answer.json())) == (400, {field})


def test_members_change_and_the_last_admin_stays(api, project):
    admin, viewer = (MembershipFactory(project=project, role=role) for role in (Role.ADMIN, Role.VIEWER))
    assert api.get("/api/v1/members/").json()["count"] == 2
    assert api.patch(f"/api/v1/members/{viewer.pk}/", {"role": "marketer"}).json()["role"] == "marketer"
    assert api.patch(f"/api/v1/members/{viewer.pk}/", {"role": "root"}).status_code == 400
    assert api.delete(f"/api/v1/members/{viewer.pk}/").status_code == 204
    assert api.get(f"/api/v1/members/{viewer.pk}/").status_code == 404
    assert api.delete(f"/api/v1/members/{admin.pk}/").status_code == 409


def test_a_member_sets_a_new_password_by_a_link_of_the_api(api, reader, project):
    member, shared = (MembershipFactory(project=project, role=Role.MARKETER) for _ in range(2))
    MembershipFactory(user=shared.user)
    made = api.post(f"/api/v1/members/{member.pk}/password-link/")
    assert (made.status_code, set(made.json())) == (201, {"link"})
    browser = Client()
    form = browser.get(made.json()["link"], follow=True)
    new = {"new_password1": "a marigold garland", "new_password2": "a marigold garland"}
    assert browser.post(form.request["PATH_INFO"], new).status_code == 302
    member.user.refresh_from_db()
    assert member.user.check_password("a marigold garland")
    assert "has been used" in Client().get(made.json()["link"], follow=True).content.decode()
    refused = api.post(f"/api/v1/members/{shared.pk}/password-link/")
    assert (refused.status_code, "other projects" in refused.json()["detail"]) == (403, True)
    refused = reader.post(f"/api/v1/members/{member.pk}/password-link/")
    assert (refused.status_code, "needs the role admin" in refused.json()["detail"]) == (403, True)
    member.user.is_active = False
    member.user.save()
    assert api.post(f"/api/v1/members/{member.pk}/password-link/").status_code == 409


def test_an_invitation_is_made_and_revoked(api, project):
    made = api.post("/api/v1/invitations/", {"email": "mira@example.com", "role": "viewer"}).json()
    assert made["link"].startswith("http://testserver/invitation/")
    assert made["mailed"] is True
    (row,) = api.get("/api/v1/invitations/").json()["results"]
    assert (row["id"], row["email"], "link" in row) == (made["id"], "mira@example.com", False)
    wrong = api.post("/api/v1/invitations/", {"email": "mira", "role": "root"})
    assert (wrong.status_code, set(wrong.json())) == (400, {"email", "role"})
    assert api.delete(f"/api/v1/invitations/{made['id']}/").status_code == 204
    assert api.get("/api/v1/invitations/").json()["count"] == 0
    assert APIClient().get(made["link"]).status_code == 404


def test_the_audit_log_is_listed_and_downloaded(api, reader, project):
    api.patch("/api/v1/project/", {"name": "=1+1"})
    (entry, *_) = api.get("/api/v1/audit/").json()["results"]
    assert (entry["action"], entry["address"], entry["after"]["name"]) == ("project.edit", "127.0.0.1", "=1+1")
    answer = api.get("/api/v1/audit/log.csv/")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert rows[-1]["action"] == "project.edit"
    assert set(api.get("/api/v1/audit/log.csv/?actoin=project.edit").json()) == {"actoin"}
    assert reader.get("/api/v1/audit/").status_code == 403


def test_the_audit_log_is_filtered_and_costs_the_same_for_any_length(api, project, django_assert_num_queries):
    api.patch("/api/v1/project/", {"name": "Chai"})
    url = "/api/v1/audit/?action=project.edit&at_after=2020-01-01"
    for _ in range(2):
        with django_assert_num_queries(4):
            answer = api.get(url).json()
        assert answer["results"][0]["action"] == "project.edit"
        for number in range(15):
            api.patch("/api/v1/project/", {"name": f"Chai {number}"})
    assert answer["count"] == 16
    assert api.get("/api/v1/audit/?actor=nobody").json()["count"] == 0
    wrong = api.get("/api/v1/audit/?at_after=2026-02-01&at_before=2026-01-01")
    assert (wrong.status_code, set(wrong.json())) == (400, {"at_before"})
    assert api.get("/api/v1/audit/?who=nobody").status_code == 400


def test_an_exports_history_tells_who_did_what(api, project):
    export = ExportFactory(project=project, recurring=True)
    api.post(f"/api/v1/exports/{export.pk}/retry/")
    api.post(f"/api/v1/exports/{export.pk}/stop/")
    rows = api.get(f"/api/v1/exports/{export.pk}/history/").json()["results"]
    assert [row["action"] for row in rows] == ["export.stop", "export.retry"]
    assert rows[0]["before"] == {"status": "PENDING"}


def test_rejected_records_of_all_runs_are_listed_downloaded_and_sent_again(api, project):
    export = ExportFactory(project=project, recurring=True)
    records = [RejectedFactory(run=RunFactory(export=export, done=True, counts={"rejected": 1})) for _ in range(2)]
    records.append(RejectedFactory(run=RunFactory(export=export, done=True), reason="silenced"))
    base = f"/api/v1/exports/{export.pk}/"
    assert api.get(f"{base}rejected/").json()["count"] == 3
    assert [row["id"] for row in api.get(f"{base}rejected/?reason=silenced").json()["results"]] == [records[2].pk]
    csv_rows = b"".join(api.get(f"{base}rejected.csv/?reason=silenced").streaming_content).decode().splitlines()
    assert len(csv_rows) == 2
    assert api.post(f"{base}rejected/resend/", {"reason": "id_too_short"}).json() == {"queued": 2}
    wrong = api.post(f"{base}rejected/resend/", {"ids": [records[0].pk + 1000]})
    assert (wrong.status_code, set(wrong.json())) == (400, {"ids"})
