"""What holds for every page: sign-in, strangers, the frame, the content security policy."""

import re
from typing import Any

import pytest
from django.test import Client

from projects.models import Project
from tests.factories import (
    EventFactory,
    ExportFactory,
    IntegrationFactory,
    MembershipFactory,
    PersonFactory,
    ProjectFactory,
    RunFactory,
    UserFactory,
    passcode_for,
)
from tests.pages.html import Site, body

PASSWORD = "correct horse battery staple"


@pytest.fixture
def addresses(project: Project) -> list[str]:
    """Every page of a project that has one of everything."""
    integration = IntegrationFactory(project=project)
    export = ExportFactory(project=project, integration=integration, recurring=True)
    RunFactory(export=export, running=True, counts={"delivered": 5, "rejected": 1})
    event = EventFactory(project=project)
    passcode_for(project)
    root, exports = f"/{project.account_id}/settings/", f"/{project.account_id}/settings/partners/exports/"
    return [
        f"{root}partners/",
        f"{root}partners/amplitude/new/",
        f"{root}partners/integrations/{integration.pk}/edit/",
        f"{root}partners/integrations/{integration.pk}/disconnect/",
        exports,
        f"{exports}rows/?id={export.pk}",
        f"{exports}new/amplitude/",
        f"{exports}{export.pk}/",
        f"{exports}{export.pk}/?tab=rejected",
        f"{exports}{export.pk}/?tab=settings",
        f"{exports}{export.pk}/?tab=history",
        f"{exports}{export.pk}/edit/",
        f"{exports}{export.pk}/stop/",
        f"/{project.account_id}/events/",
        f"/{project.account_id}/profiles/",
        f"/{project.account_id}/profiles/{event.person_id}/",
        f"{root}project/",
        f"{root}project/credentials/new/",
        f"{root}project/credentials/{project.credentials.get().pk}/revoke/",
        f"{root}project/audit/",
        f"{root}team/",
        f"{root}notifications/",
        f"{root}notifications/webhook/",
        f"{root}notifications/webhook/remove/",
    ]


def test_every_page_opens_whole_and_as_a_swap(addresses: list[str], site: Site) -> None:
    for address in addresses:
        for htmx in (False, True):
            assert site.get(address, htmx=htmx).status_code == 200, address


def test_every_page_asks_strangers_to_sign_in(addresses: list[str]) -> None:
    for address in addresses:
        response = Client().get(address)
        assert response.status_code == 302, address
        assert response.headers["Location"].startswith("/login/?next="), address


def test_every_page_of_a_foreign_project_is_404(addresses: list[str], db: Any) -> None:
    client = Client()
    client.force_login(MembershipFactory().user, backend="django.contrib.auth.backends.ModelBackend")
    for address in addresses:
        response = client.get(address)
        assert response.status_code == 404, address
        assert b"This page does not exist" in response.content


def test_rows_of_another_project_are_404_or_left_out(addresses: list[str], project: Project, site: Site) -> None:
    other = ExportFactory()
    exports = f"/{project.account_id}/settings/partners/exports/"
    for tail in ("", "edit/", "stop/"):
        assert site.get(f"{exports}{other.pk}/{tail}").status_code == 404
    assert f"export-{other.pk}" not in body(site.get(f"{exports}rows/?id={other.pk}"))
    partners = f"/{project.account_id}/settings/partners/integrations/{other.integration_id}/"
    assert site.get(f"{partners}edit/").status_code == 404
    assert site.get(f"{partners}disconnect/").status_code == 404
    assert site.get(f"/{project.account_id}/profiles/{PersonFactory().pk}/").status_code == 404


def test_pages_carry_nothing_inline(addresses: list[str], site: Site) -> None:
    for address in addresses:
        response = site.get(address)
        found = re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|<script(?![^>]*\ssrc=)", body(response))
        assert not found, (address, found)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


def test_viewers_are_offered_nothing_that_they_may_not_do(
    addresses: list[str], viewer_site: Site, project: Project
) -> None:
    exports = f"/{project.account_id}/settings/partners/exports/"
    shown = body(viewer_site.get(exports))
    assert "Create Export" not in shown
    assert "/stop/" not in shown
    for address in (f"{exports}new/amplitude/", f"/{project.account_id}/settings/project/credentials/new/"):
        response = viewer_site.get(address)
        assert response.status_code == 403
        assert b"This needs the role" in response.content


def test_a_user_signs_in_with_the_email_address(db: Any) -> None:
    membership = MembershipFactory(user=UserFactory(email="asha@example.com"))
    client = Client()
    wrong = client.post("/login/", {"username": "asha@example.com", "password": "wrong"})
    assert b"Please enter a correct email" in wrong.content
    right = client.post("/login/", {"username": "Asha@Example.com", "password": PASSWORD}, follow=True)
    assert right.request["PATH_INFO"] == f"/{membership.project.account_id}/settings/partners/exports/"


def test_the_start_page_says_what_to_do_without_a_project(db: Any) -> None:
    client = Client()
    client.force_login(UserFactory(), backend="django.contrib.auth.backends.ModelBackend")
    assert b"You do not belong to a project" in client.get("/").content


def test_the_frame_shows_projects_zone_and_sections(site: Site, project: Project, user: Any) -> None:
    other = ProjectFactory(name="Second shop")
    MembershipFactory(project=other, user=user)
    shown = site.text(f"/{project.account_id}/settings/partners/exports/")
    for words in ("Kirana Mobile", "Second shop", "Asia/Kolkata (UTC+05:30)", "Events", "User profiles", "Team"):
        assert words in shown
    assert "Amplitude sandbox" not in shown


def test_the_sandbox_is_named_on_every_page(site: Site, project: Project, settings: Any) -> None:
    settings.PORTAL_SANDBOX = ["Standard", "Europe"]
    assert "Amplitude sandbox Exports go to a sandbox" in site.text(f"/{project.account_id}/events/")


def test_a_sandbox_for_one_region_only_is_named_so(site: Site, project: Project, settings: Any) -> None:
    settings.PORTAL_SANDBOX = ["Standard"]
    assert "Exports of the region Standard go to a sandbox" in site.text(f"/{project.account_id}/events/")


def test_hints_of_several_points_look_like_hints(site: Site) -> None:
    assert '<div class="hint" id="id_new_password1_helptext"><ul>' in body(site.get("/password/"))


def test_changing_the_password_is_said(site: Site) -> None:
    new = "another long pass phrase"
    data = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    response = site.client.post("/password/", data, follow=True)
    assert b"Your password has been changed" in response.content
