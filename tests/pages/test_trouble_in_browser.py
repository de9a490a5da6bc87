"""What people and networks do to a page: double clicks, Back and Forward, deep links, a session that ends."""

from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from exports.models import Export, Run, Shard
from projects.models import Role, User
from tests.factories import ExportFactory, IntegrationFactory, RunFactory
from tests.pages.browsing import EMAIL, said, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def moving(scene: Any) -> Export:
    """An export whose row and page are followed."""
    export = ExportFactory(
        project=scene[0], integration=IntegrationFactory(project=scene[0]), name="Moving", running=True
    )
    RunFactory(export=export, running=True, estimate=100, counts={"delivered": 10})
    return export


def test_a_double_click_creates_one_export(signed_in: Page, exports: str, scene: Any) -> None:
    before = scene[0].exports.count()
    signed_in.goto(f"{exports}new/amplitude/")
    signed_in.get_by_role("button", name="Export", exact=True).dblclick()
    expect(said(signed_in, "Amplitude data export initiated")).to_be_visible()
    assert scene[0].exports.count() == before + 1


def test_a_double_enter_creates_one_export(signed_in: Page, exports: str, scene: Any) -> None:
    before = scene[0].exports.count()
    signed_in.goto(exports)
    signed_in.get_by_text("Create Export").click()
    signed_in.get_by_role("link", name="Amplitude", exact=True).click()
    signed_in.get_by_label("Name (optional)").focus()
    signed_in.keyboard.press("Enter")
    signed_in.keyboard.press("Enter")
    expect(said(signed_in, "Amplitude data export initiated")).to_be_visible()
    assert scene[0].exports.count() == before + 1


def test_enter_in_the_integrate_panel_integrates(signed_in: Page, root: str) -> None:
    signed_in.goto(f"{root}/settings/partners/")
    signed_in.get_by_role("link", name="Integrate another").click()
    signed_in.get_by_label("API key").fill("3f9c1e07a5d24b68c0b1d2e3f4a5b6c7")
    signed_in.get_by_label("Partner Nickname").fill("By Enter")
    signed_in.keyboard.press("Enter")
    expect(said(signed_in, "Amplitude has been integrated as “By Enter”")).to_be_visible()


def test_a_double_click_on_an_action_does_it_once(signed_in: Page, exports: str, scene: Any) -> None:
    before = scene[0].exports.count()
    export = scene[0].exports.get(status="DONE")
    signed_in.goto(f"{exports}{export.pk}/")
    signed_in.get_by_role("link", name="Duplicate").click()
    panel = signed_in.get_by_role("dialog", name="Export to Amplitude")
    expect(panel.get_by_label("Name (optional)")).to_have_value("October backfill (copy)")
    panel.get_by_role("button", name="Export", exact=True).dblclick()
    expect(said(signed_in, "Amplitude data export initiated")).to_be_visible()
    assert scene[0].exports.count() == before + 1


def test_stopping_what_another_has_stopped_does_no_harm(signed_in: Page, exports: str, moving: Export) -> None:
    signed_in.goto(f"{exports}{moving.pk}/stop/")
    Export.objects.filter(pk=moving.pk).update(status="DONE")
    dialog = signed_in.get_by_role("dialog", name="Stop export?")
    dialog.get_by_role("button", name="Stop").click()
    expect(dialog.get_by_role("alert")).to_contain_text("there is nothing to stop")


def test_back_and_forward_through_panels_and_pages(signed_in: Page, exports: str, moving: Export) -> None:
    page = signed_in
    page.goto(exports)
    row = page.locator(f"#export-{moving.pk}")
    row.hover()
    row.get_by_role("link", name="Stop").click()
    dialog = page.get_by_role("dialog", name="Stop export?")
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(exports)
    page.go_forward()
    expect(dialog).to_be_visible()
    expect(page).to_have_url(f"{exports}{moving.pk}/stop/")
    page.reload()
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(exports)
    page.goto(f"{exports}?status=RUNNING")
    row.hover()
    row.get_by_role("link", name="View").click()
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(page.get_by_text("Identifier priority")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page).to_have_url(f"{exports}?status=RUNNING")
    expect(page.get_by_text("Status: Running")).to_be_visible()


def test_stop_over_a_filtered_list_comes_back_to_it(signed_in: Page, exports: str, moving: Export) -> None:
    signed_in.goto(f"{exports}?status=RUNNING&frequency=one_time")
    row = signed_in.locator(f"#export-{moving.pk}")
    row.hover()
    row.get_by_role("link", name="Stop").click()
    signed_in.get_by_role("dialog", name="Stop export?").get_by_role("button", name="Stop").click()
    expect(said(signed_in, "Amplitude data export stopped")).to_be_visible()
    expect(signed_in).to_have_url(f"{exports}?status=RUNNING&frequency=one_time")


def test_records_sent_again_are_followed_and_what_is_chosen_stays(signed_in: Page, exports: str, scene: Any) -> None:
    run = Run.objects.filter(export__project=scene[0], export__status="DONE").latest("pk")
    going, staying = run.rejected_records.order_by("-pk")[:2]
    run.rejected_records.filter(pk=going.pk).update(resend_at=datetime.now(UTC))
    run.shards.update(resend_at=datetime.now(UTC))
    signed_in.goto(f"{exports}{run.export_id}/?tab=rejected")
    expect(signed_in.get_by_text("being sent again", exact=False).first).to_be_visible()
    box = signed_in.get_by_label(f"Choose record {staying.pk}")
    box.check()
    run.rejected_records.filter(pk=going.pk).delete()
    expect(signed_in.get_by_label(f"Choose record {going.pk}")).to_have_count(0)
    expect(box).to_be_checked()
    run.shards.update(resend_at=None)
    expect(signed_in.locator("#live[hx-get]")).to_have_count(0)


def test_each_panel_opens_by_its_own_address(signed_in: Page, root: str, scene: Any) -> None:
    titles = {
        "integrate-panel": "Integrate Amplitude",
        "integration-edit": "Edit “Growth analytics”",
        "export-panel": "Export to Amplitude",
        "export-edit": "Export to Amplitude",
        "export-stop": "Stop export?",
        "credential": "Create credential",
    }
    for name, title in titles.items():
        signed_in.goto(root + scene[1][name])
        expect(signed_in.get_by_role("dialog", name=title)).to_be_visible()


def test_rows_of_a_session_that_has_ended_stay_and_say_so(
    page: Page, live_server: Any, exports: str, moving: Any
) -> None:
    sign_in(page, live_server.url)
    page.goto(exports)
    cookies = page.context.cookies()
    page.context.clear_cookies()
    expect(page.get_by_role("alert")).to_contain_text("You are signed out: this page does not follow any more.")
    expect(page.locator(f"#export-{moving.pk}")).to_contain_text("10%")
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.get_by_role("link", name="Sign in").click()
    expect(page).to_have_url(exports)


def test_a_page_of_a_session_that_has_ended_stays_and_leads_back(
    page: Page, live_server: Any, exports: str, moving: Export
) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{exports}{moving.pk}/")
    page.context.clear_cookies()
    expect(page.get_by_role("alert")).to_contain_text("You are signed out")
    expect(page.get_by_role("heading", name="Moving")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Email").fill("asha.rao@example.com")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{exports}{moving.pk}/")


def test_a_panel_survives_a_session_that_has_ended(page: Page, live_server: Any, exports: str) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{exports}new/amplitude/")
    panel = page.get_by_role("dialog", name="Export to Amplitude")
    panel.get_by_label("Name (optional)").fill("Typed before")
    session = [cookie for cookie in page.context.cookies() if cookie["name"] == "sessionid"]
    page.context.clear_cookies(name="sessionid")
    panel.get_by_role("button", name="Export", exact=True).click()
    expect(panel.get_by_role("alert")).to_contain_text("Nothing was saved: you are signed out")
    expect(panel.get_by_label("Name (optional)")).to_have_value("Typed before")
    page.context.add_cookies(session)  # type: ignore[arg-type]
    panel.get_by_role("button", name="Export", exact=True).click()
    expect(said(page, "Amplitude data export initiated")).to_be_visible()


def test_a_panel_survives_a_sign_in_in_another_tab(page: Page, live_server: Any, exports: str) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{exports}new/amplitude/")
    panel = page.get_by_role("dialog", name="Export to Amplitude")
    panel.get_by_label("Name (optional)").fill("Typed before")
    page.context.clear_cookies()
    panel.get_by_role("button", name="Export", exact=True).click()
    expect(panel.get_by_role("alert")).to_contain_text("Nothing was saved: you are signed out")
    other = page.context.new_page()
    sign_in(other, live_server.url)
    other.close()
    panel.get_by_role("button", name="Export", exact=True).click()
    expect(said(page, "Amplitude data export initiated")).to_be_visible()
    assert Export.objects.filter(name="Typed before").count() == 1


def test_a_page_survives_a_sign_in_in_another_tab(page: Page, live_server: Any, exports: str, scene: Any) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{exports}{scene[0].exports.get(frequency='recurring', status='RUNNING').pk}/?tab=settings")
    other = page.context.new_page()
    page.context.clear_cookies()
    sign_in(other, live_server.url)
    other.close()
    page.get_by_role("button", name="Run now").click()
    expect(said(page, "A run of this export is being read right now.")).to_be_visible()


def test_a_panel_tells_who_has_lost_the_role(page: Page, live_server: Any, exports: str, scene: Any) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{exports}new/amplitude/")
    User.objects.filter(email=EMAIL).update(is_superuser=False)
    scene[0].memberships.filter(user__email=EMAIL).update(role=Role.VIEWER)
    panel = page.get_by_role("dialog", name="Export to Amplitude")
    panel.get_by_role("button", name="Export", exact=True).click()
    expect(panel.get_by_role("alert")).to_contain_text("Nothing was saved: you may not do this.")


def test_a_refused_form_goes_to_its_first_wrong_field(page: Page, live_server: Any, exports: str) -> None:
    sign_in(page, live_server.url)
    page.set_viewport_size({"width": 1024, "height": 600})
    page.goto(exports)
    page.get_by_text("Create Export").click()
    page.get_by_role("link", name="Amplitude", exact=True).click()
    panel = page.get_by_role("dialog", name="Export to Amplitude")
    panel.get_by_text("Selected events").click()
    panel.get_by_role("button", name="Export", exact=True).click()
    message = panel.get_by_text("Select at least one event.")
    search = panel.get_by_label("Search events")
    expect(search).to_be_focused()
    expect(message).to_be_in_viewport()
    search.fill("Charged")
    search.press("Enter")
    expect(message).to_have_count(0)


def test_a_refused_day_leads_to_its_calendar(page: Page, live_server: Any, exports: str) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{exports}new/amplitude/")
    panel = page.get_by_role("dialog", name="Export to Amplitude")
    panel.get_by_text("Recurring", exact=True).click()
    panel.locator("[name=start_date]").evaluate("input => (input.value = '')")
    panel.get_by_role("button", name="Export", exact=True).click()
    expect(panel.get_by_text("Choose a date.", exact=True)).to_be_in_viewport()
    expect(panel.get_by_role("button", name="Date to export data: Choose a date")).to_be_focused()


def test_escape_leads_back_to_create_export(page: Page, live_server: Any, exports: str) -> None:
    sign_in(page, live_server.url)
    page.goto(exports)
    page.get_by_text("Create Export").click()
    page.get_by_role("link", name="Amplitude", exact=True).click()
    expect(page.get_by_role("dialog", name="Export to Amplitude")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#create-export")).to_be_focused()


def test_a_portal_that_is_away_is_said_and_followed_again(
    page: Page, live_server: Any, exports: str, moving: Export
) -> None:
    sign_in(page, live_server.url)
    page.goto(exports)
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("The portal does not answer")
    Shard.objects.filter(run__export=moving).update(read=70, delivered=70)
    page.context.set_offline(False)
    expect(page.locator(f"#export-{moving.pk}")).to_contain_text("70%")
    expect(page.get_by_role("alert")).to_have_count(0)
