"""Settings > Project and Team."""

import hashlib

from exports_portal.common.models import AuditEntry
from projects.models import Credential, Project
from tests.factories import passcode_for
from tests.pages.html import Site, body, text


def test_name_and_time_zone_are_saved(site: Site, project: Project) -> None:
    url = f"/{project.account_id}/settings/project/"
    response = site.client.post(url, {"name": "Renamed", "timezone": "Europe/Berlin"}, follow=True)
    assert "Days and recurring exports follow Europe/Berlin from now on, in place of Asia/Kolkata" in text(response)
    project.refresh_from_db()
    assert (project.name, project.timezone) == ("Renamed", "Europe/Berlin")
    again = site.client.post(url, {"name": "Renamed again", "timezone": "Europe/Berlin"}, follow=True)
    assert "Project settings saved" in text(again)
    assert "from now on" not in text(again)


def test_wrong_settings_are_named_at_their_fields(site: Site, project: Project) -> None:
    response = site.post(f"/{project.account_id}/settings/project/", {"name": " ", "timezone": "Mars/Base"})
    assert response.status_code == 422
    assert 'id="id_timezone_error"' in body(response)
    project.refresh_from_db()
    assert project.timezone == "Asia/Kolkata"


def test_an_empty_name_is_named(site: Site, project: Project) -> None:
    response = site.post(f"/{project.account_id}/settings/project/", {"name": " ", "timezone": "UTC"})
    assert "Enter a name for the project." in text(response)


def test_how_long_data_is_kept_is_saved(site: Site, viewer_site: Site, project: Project) -> None:
    url = f"/{project.account_id}/settings/project/"
    assert "Runs kept for ever" in viewer_site.text(url)
    values = {
        "name": "Shop",
        "timezone": "UTC",
        "keep_events_days": "90",
        "keep_runs_days": "",
        "keep_audit_days": "365",
    }
    assert "Project settings saved" in text(site.client.post(url, values, follow=True))
    project.refresh_from_db()
    kept = (project.keep_events_days, project.keep_rejected_days, project.keep_runs_days, project.keep_audit_days)
    assert kept == (90, None, None, 365)
    entry = AuditEntry.objects.latest("pk")
    assert entry.after == {"name": "Shop", "timezone": "UTC", "keep_events_days": 90, "keep_audit_days": 365}
    assert "Events and profile updates kept 90 days" in viewer_site.text(url)


def test_too_few_days_are_named_at_their_field(site: Site, project: Project) -> None:
    values = {"name": "Shop", "timezone": "UTC", "keep_events_days": "30", "keep_audit_days": "one"}
    shown = site.post(f"/{project.account_id}/settings/project/", values)
    assert "Enter a whole number of days, or nothing." in text(shown)
    shown = site.post(f"/{project.account_id}/settings/project/", values | {"keep_audit_days": ""})
    assert shown.status_code == 422
    assert "At least 62 days, at most 36,500; empty keeps them for ever." in text(shown)
    project.refresh_from_db()
    assert (project.name, project.keep_events_days) != ("Shop", 30)


def test_viewers_see_but_do_not_change(viewer_site: Site, project: Project) -> None:
    url = f"/{project.account_id}/settings/project/"
    assert "Create credential" not in viewer_site.text(url)
    assert viewer_site.post(url, {"name": "Mine", "timezone": "UTC"}).status_code == 403


def test_a_credential_is_shown_once(site: Site, project: Project) -> None:
    url = f"/{project.account_id}/settings/project/"
    response = site.post(f"{url}credentials/new/", {"kind": "passcode", "label": "Shop backend"}, htmx=True)
    value = body(response).split('<code id="secret-value">')[1].split("<")[0]
    credential = project.credentials.get()
    assert credential.digest == hashlib.sha256(value.encode()).hexdigest()
    assert response.headers["Cache-Control"] == "no-store"
    again = body(site.get(url))
    assert value not in again
    assert f"••••{value[-4:]}" in again


def test_a_wrong_kind_is_named(site: Site, project: Project) -> None:
    response = site.post(f"/{project.account_id}/settings/project/credentials/new/", {"kind": "key"})
    assert response.status_code == 422
    assert not Credential.objects.exists()


def test_revoking_asks_first(site: Site, project: Project) -> None:
    value = passcode_for(project)
    credential = project.credentials.get()
    url = f"/{project.account_id}/settings/project/credentials/{credential.pk}/revoke/"
    assert "Revoke passcode?" in site.text(url)
    assert f"Passcode ••••{value[-4:]} has been revoked" in text(site.client.post(url, follow=True))
    credential.refresh_from_db()
    assert credential.revoked_at is not None
