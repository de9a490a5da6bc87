"""The pages in a real browser: panels, calendar, filters, live rows, keyboard, and all of it without a script too."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_httpserver import HTTPServer

from exports.models import Export, Shard
from tests.factories import EventNameFactory, ExportFactory, IntegrationFactory, RejectedFactory, RunFactory
from tests.pages.browsing import sign_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_panel_opens_over_the_list_has_its_own_address_and_closes_by_esc(signed_in: Page, exports: str) -> None:
    signed_in.goto(exports)
    signed_in.get_by_text("Create Export").click()
    signed_in.get_by_role("link", name="Amplitude", exact=True).click()
    panel = signed_in.get_by_role("dialog", name="Export to Amplitude")
    expect(panel).to_be_visible()
    expect(panel.get_by_label("Partner Nickname")).to_be_focused()
    assert signed_in.url == f"{exports}new/amplitude/"
    expect(signed_in.locator("table.exports")).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(signed_in).to_have_url(exports)
    signed_in.go_forward()
    expect(panel).to_be_visible()
    assert signed_in.url == f"{exports}new/amplitude/"
    signed_in.go_back()
    expect(panel).to_have_count(0)
    signed_in.goto(f"{exports}new/amplitude/")
    expect(panel).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(signed_in).to_have_url(exports)


def test_a_panel_on_its_own_page_leads_to_the_list_after_it_was_refused(signed_in: Page, exports: str) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    panel = signed_in.get_by_role("dialog", name="Export to Amplitude")
    panel.get_by_text("Selected events").click()
    with signed_in.expect_response(lambda answer: answer.status == 422):
        panel.get_by_role("button", name="Export", exact=True).click()
    expect(panel.locator(".errorlist").first).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(signed_in).to_have_url(exports)
    expect(signed_in.locator("table.exports")).to_be_visible()


def test_a_secret_outlives_a_click_beside_it_and_what_it_belongs_to_is_listed(signed_in: Page, root: str) -> None:
    project = f"{root}/settings/project/"
    signed_in.goto(project)
    before = signed_in.get_by_role("link", name="Revoke").count()
    signed_in.get_by_role("link", name="Create credential").click()
    signed_in.get_by_role("dialog", name="Create credential").get_by_role("button", name="Create").click()
    secret = signed_in.locator("#secret-value")
    copy = signed_in.get_by_role("button", name="Copy")
    expect(copy).to_be_focused()
    signed_in.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy.click()
    expect(signed_in.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    assert signed_in.evaluate("navigator.clipboard.readText()") == secret.text_content()
    signed_in.mouse.click(5, 5)
    expect(secret).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(secret).to_have_count(0)
    expect(signed_in).to_have_url(project)
    expect(signed_in.get_by_role("link", name="Revoke")).to_have_count(before + 1)


def test_a_panel_keeps_the_keyboard_inside(signed_in: Page, exports: str) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    inside = "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
    for _ in range(30):
        signed_in.keyboard.press("Tab")
        assert signed_in.evaluate(inside)


def test_days_are_chosen_in_the_calendar(signed_in: Page, exports: str, scene: Any) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    button = signed_in.get_by_role("button", name=re.compile("^Date to export data"))
    button.click()
    today = datetime.now(scene[0].tz).date()
    first, last = today - timedelta(days=20), today - timedelta(days=18)
    signed_in.locator("calendar-range").evaluate(
        "(calendar, days) => { calendar.value = days; calendar.dispatchEvent(new Event('change')); }",
        f"{first}/{last}",
    )
    expect(button).to_contain_text(f"{first.day} ")
    signed_in.get_by_role("button", name="Export", exact=True).click()
    expect(signed_in.get_by_role("status").filter(has_text="Amplitude data export initiated")).to_be_visible()
    export = Export.objects.latest("pk")
    assert (export.date_from, export.date_to) == (first, last)


def test_a_day_of_the_calendar_can_be_clicked(signed_in: Page, exports: str) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    signed_in.get_by_role("button", name=re.compile("^Date to export data")).click()
    day = signed_in.locator("calendar-range calendar-month").last.get_by_role("button", name="1 ").first
    day.click()
    day.click()
    expect(signed_in.locator("[name=preset]")).to_have_value("custom")


def test_a_preset_fills_the_dates_and_the_estimate_follows(signed_in: Page, exports: str, scene: Any) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    signed_in.locator("[name=preset]").select_option("today")
    today = datetime.now(scene[0].tz).date().isoformat()
    expect(signed_in.locator("[name=date_from]")).to_have_value(today)
    signed_in.get_by_text("Selected events").click()
    expect(signed_in.locator("#sent")).to_contain_text("Select at least one event.")
    signed_in.get_by_label("Search events").fill("charg")
    expect(signed_in.get_by_role("checkbox", name="Searched")).to_be_hidden()
    signed_in.get_by_role("checkbox", name="Charged").check()
    expect(signed_in.get_by_role("radio", name="Selected events 1 chosen")).to_be_checked()
    expect(signed_in.locator("#sent")).to_contain_text("About 2 records.")
    signed_in.get_by_role("button", name="Remove Charged").click()
    expect(signed_in.get_by_role("radio", name="Selected events you choose")).to_be_visible()


def test_an_unfolded_preview_stays_so_when_the_form_changes(signed_in: Page, exports: str) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    preview = signed_in.locator("#sent details")
    signed_in.get_by_text("Preview payload").click()
    signed_in.get_by_text("Selected events").click()
    expect(signed_in.locator("#sent")).to_contain_text("Select at least one event.")
    signed_in.get_by_role("checkbox", name="Charged").check()
    expect(signed_in.locator("#sent")).to_contain_text("About 2 records.")
    expect(preview).to_have_attribute("open", "")


def test_the_enter_key_takes_the_event_that_was_searched_for(signed_in: Page, exports: str, scene: Any) -> None:
    EventNameFactory(project=scene[0], name="Recharged")
    signed_in.goto(f"{exports}new/amplitude/")
    signed_in.get_by_text("Selected events").click()
    search = signed_in.get_by_label("Search events")
    search.press("Enter")
    expect(signed_in.get_by_role("radio", name="Selected events you choose")).to_be_visible()
    search.fill("charged")
    search.press("Enter")
    expect(signed_in.get_by_role("button", name="Remove Charged")).to_be_visible()
    expect(search).to_have_value("")
    expect(signed_in.get_by_role("checkbox", name="Recharged")).not_to_be_checked()
    search.fill("recha")
    search.press("Enter")
    expect(signed_in.get_by_role("button", name="Remove Recharged")).to_be_visible()


def test_the_preview_follows_excluded_properties_as_they_are_typed(signed_in: Page, exports: str) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    signed_in.get_by_text("Preview payload").click()
    expect(signed_in.locator("#sent pre").first).to_contain_text('"event_properties"')
    signed_in.get_by_text("More", exact=True).click()
    with signed_in.expect_response(lambda answer: "Amount" in (answer.request.post_data or "")):
        signed_in.get_by_label("Excluded properties").press_sequentially("Amount")
    expect(signed_in.get_by_label("Excluded properties")).to_be_focused()


def test_from_when_an_edit_counts_goes_by_the_chosen_frequency(signed_in: Page, exports: str, scene: Any) -> None:
    export = ExportFactory(project=scene[0], integration=IntegrationFactory(project=scene[0]), recurring=True)
    signed_in.goto(f"{exports}{export.pk}/edit/")
    expect(signed_in.get_by_text("Applies from the next run.")).to_be_visible()
    signed_in.get_by_text("Live Data Streaming", exact=True).click()
    expect(signed_in.get_by_text("Applies from the next run.")).to_be_hidden()
    expect(signed_in.get_by_text("Applies from the next batch, within seconds.")).to_be_visible()


def test_only_the_middle_of_a_panel_scrolls(signed_in: Page, exports: str) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    panel = signed_in.get_by_role("dialog", name="Export to Amplitude")
    panel.get_by_text("Selected events").click()
    panel.get_by_text("More", exact=True).click()
    assert panel.evaluate("panel => panel.scrollHeight - panel.clientHeight") == 0


def test_what_a_test_of_the_connection_found_is_read_first(
    signed_in: Page, root: str, httpserver: HTTPServer, settings: Any
) -> None:
    settings.AMPLITUDE_EU_URL = settings.AMPLITUDE_STANDARD_URL = httpserver.url_for("").rstrip("/")
    httpserver.expect_request("/batch").respond_with_json({"code": 400, "error": "Invalid API key"}, status=400)
    signed_in.set_viewport_size({"width": 390, "height": 600})
    signed_in.goto(f"{root}/settings/partners/amplitude/new/")
    panel = signed_in.get_by_role("dialog", name="Integrate Amplitude")
    panel.get_by_label("Partner Nickname").fill("Second")
    panel.get_by_label("API key").fill("0" * 32)
    panel.get_by_role("button", name="Test connection").click()
    expect(panel.locator("#connection")).to_be_focused()
    expect(panel.get_by_text("Connection does not work.")).to_be_in_viewport()


def test_the_typeface_comes_from_the_portal(signed_in: Page, exports: str, live_server: Any) -> None:
    signed_in.goto(exports)
    signed_in.wait_for_function("[...document.fonts].some(font => font.family === 'Inter' && font.status === 'loaded')")
    names = "performance.getEntriesByType('resource').map(entry => entry.name)"
    fonts = [name for name in signed_in.evaluate(names) if name.endswith(".woff2")]
    assert fonts == [f"{live_server.url}/static/fonts/inter-latin.woff2"]


def test_only_the_fields_of_the_chosen_frequency_show(signed_in: Page, exports: str) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    every = signed_in.get_by_label("Export every")
    expect(every).to_be_hidden()
    signed_in.get_by_text("Recurring", exact=True).click()
    expect(every).to_be_visible()
    expect(signed_in.locator("[name=preset]")).to_be_hidden()


def test_errors_keep_the_panel_open_and_what_was_typed(signed_in: Page, root: str) -> None:
    signed_in.goto(f"{root}/settings/partners/")
    signed_in.get_by_role("link", name="Integrate another").click()
    panel = signed_in.get_by_role("dialog", name="Integrate Amplitude")
    panel.get_by_label("API key").fill("a key with spaces")
    panel.get_by_text("Standard", exact=True).click()
    panel.get_by_role("button", name="Integrate").click()
    expect(panel.get_by_text("Enter a Partner Nickname.")).to_be_visible()
    expect(panel.get_by_text("must not contain spaces")).to_be_visible()
    expect(panel.get_by_label("API key")).to_have_value("a key with spaces")
    expect(panel.get_by_role("radio", name=re.compile("Standard"))).to_be_checked()
    panel.get_by_label("API key").fill("3f9c1e07a5d24b68c0b1d2e3f4a5b6c7")
    panel.get_by_label("Partner Nickname").fill("Second")
    panel.get_by_role("button", name="Integrate").click()
    expect(signed_in.get_by_text("Amplitude has been integrated as “Second”")).to_be_visible()


def test_a_post_that_is_refused_says_so_and_keeps_what_was_typed(page: Page, live_server: Any, root: str) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{root}/settings/partners/amplitude/new/")
    panel = page.get_by_role("dialog", name="Integrate Amplitude")
    panel.get_by_label("Partner Nickname").fill("Second")
    page.context.clear_cookies()
    panel.get_by_role("button", name="Integrate").click()
    expect(panel.get_by_role("alert")).to_contain_text("Sign in again in another tab")
    expect(panel.get_by_label("Partner Nickname")).to_have_value("Second")


def test_a_nickname_without_spaces_stays_within_the_window(signed_in: Page, root: str, scene: Any) -> None:
    IntegrationFactory(project=scene[0], nickname="W" * 80)
    signed_in.set_viewport_size({"width": 390, "height": 900})
    signed_in.goto(f"{root}/settings/partners/")
    expect(signed_in.get_by_text("W" * 80, exact=True).first).to_be_visible()
    assert signed_in.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def test_running_rows_change_in_place(signed_in: Page, exports: str, scene: Any) -> None:
    integration = IntegrationFactory(project=scene[0])
    export = ExportFactory(project=scene[0], integration=integration, name="Moving", running=True)
    run = RunFactory(export=export, running=True, estimate=100, counts={"delivered": 10})
    signed_in.goto(exports)
    row = signed_in.locator(f"#export-{export.pk}")
    expect(row).to_contain_text("10%")
    signed_in.evaluate("window.stayed = true")
    Shard.objects.filter(run=run).update(read=70, delivered=70)
    expect(row).to_contain_text("70%")
    Export.objects.filter(pk=export.pk).update(status="DONE")
    expect(row).to_contain_text("DONE")
    expect(row.get_by_role("link", name="Stop")).to_have_count(0)
    assert signed_in.evaluate("window.stayed")


def test_stop_asks_in_a_dialog(signed_in: Page, exports: str, scene: Any) -> None:
    export = ExportFactory(project=scene[0], name="Ending", integration=IntegrationFactory(project=scene[0]))
    signed_in.goto(exports)
    row = signed_in.locator(f"#export-{export.pk}")
    row.hover()
    row.get_by_role("link", name="Stop").click()
    dialog = signed_in.get_by_role("dialog", name="Stop export?")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Stop").click()
    expect(signed_in.get_by_role("status").filter(has_text="Amplitude data export stopped")).to_be_visible()
    expect(row).to_contain_text("STOPPED")
    signed_in.get_by_role("button", name="Dismiss").click()
    expect(signed_in.get_by_text("Amplitude data export stopped")).to_have_count(0)


def test_old_rejected_records_go_once_the_consent_is_ticked(signed_in: Page, exports: str, scene: Any) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=30)
    export = ExportFactory(project=scene[0], done=True)
    run = RunFactory(export=export, done=True, counts={"rejected": 2})
    for number, reason in enumerate(("silenced", "bad_time")):
        RejectedFactory(run=run, reason=reason, record_id=number, created_at=long_ago)
    signed_in.goto(f"{exports}{export.pk}/?tab=rejected")
    signed_in.get_by_role("link", name="Silenced by Amplitude 1").click()
    signed_in.get_by_role("button", name="Send all of this reason again").click()
    expect(signed_in.get_by_text("1 record was rejected more than 7 days ago")).to_be_visible()
    signed_in.get_by_label("Also those rejected more than 7 days ago").check()
    signed_in.get_by_role("button", name="Send all of this reason again").click()
    expect(signed_in.get_by_text("1 record is being sent again")).to_be_visible()
    assert list(run.rejected_records.filter(resend_at__isnull=False).values_list("reason", flat=True)) == ["silenced"]


def test_a_consent_that_is_ticked_and_the_keyboard_stay_while_records_are_followed(
    signed_in: Page, exports: str, scene: Any
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=30)
    export = ExportFactory(project=scene[0], done=True)
    run = RunFactory(export=export, done=True, counts={"rejected": 2})
    old = RejectedFactory(run=run, reason="silenced", created_at=long_ago)
    RejectedFactory(run=run, reason="bad_time", record_id=2, resend_at=datetime.now(UTC))
    Shard.objects.filter(run=run).update(resend_at=datetime.now(UTC))
    signed_in.goto(f"{exports}{export.pk}/?tab=rejected")
    signed_in.get_by_label(f"Choose record {old.pk}").check()
    signed_in.keyboard.press("Enter")
    consent = signed_in.get_by_label("Also those rejected more than 7 days ago")
    consent.check()
    chip = signed_in.get_by_role("link", name="Silenced by Amplitude 1")
    chip.focus()
    for _ in range(2):
        with signed_in.expect_response(re.compile("follow=rejected")):
            pass
    signed_in.wait_for_timeout(200)
    expect(consent).to_be_checked()
    expect(signed_in.get_by_label(f"Choose record {old.pk}")).to_be_checked()
    expect(chip).to_be_focused()
    signed_in.get_by_label(f"Choose record {old.pk}").press("Enter")
    expect(signed_in.get_by_text("1 record is being sent again")).to_be_visible()


def test_filters_are_applied_from_the_popover_and_reset(signed_in: Page, exports: str) -> None:
    signed_in.goto(exports)
    signed_in.get_by_text("Filter", exact=True).click()
    signed_in.get_by_role("checkbox", name="Done").check()
    signed_in.get_by_role("button", name=re.compile("^Exported on")).click()
    day = (datetime.now(UTC) - timedelta(days=10)).date().isoformat()
    signed_in.locator("calendar-range").evaluate(
        "(calendar, days) => { calendar.value = days; calendar.dispatchEvent(new Event('change')); }",
        f"{day}/{datetime.now(UTC).date().isoformat()}",
    )
    signed_in.get_by_role("button", name="Apply").click()
    expect(signed_in).to_have_url(re.compile("status=DONE"))
    expect(signed_in.locator("table.exports tbody tr")).to_have_count(1)
    expect(signed_in.get_by_text("Filter · 2")).to_be_visible()
    signed_in.get_by_role("link", name="Reset all").first.click()
    expect(signed_in.locator("table.exports tbody tr")).to_have_count(5)
    signed_in.get_by_label("Items per page").select_option("10")
    expect(signed_in).to_have_url(re.compile("page_size=10"))


def test_user_profiles_are_exported_from_the_panel(signed_in: Page, exports: str, scene: Any) -> None:
    signed_in.goto(f"{exports}new/amplitude/")
    panel = signed_in.get_by_role("dialog", name="Export to Amplitude")
    expect(panel.get_by_text("All events", exact=True)).to_be_visible()
    panel.get_by_text("User profiles", exact=True).click()
    for words in ("All events", "Selected events", "Days start at 12:00 a.m.", "up to the last 60 days"):
        expect(panel.get_by_text(words, exact=False).first).to_be_hidden()
    expect(panel.get_by_text("All people of this project are sent once")).to_be_visible()
    expect(panel.locator("#sent")).to_contain_text("About 12 people.")
    panel.get_by_text("Preview payload").click()
    expect(panel.locator("#sent")).to_contain_text('"event_type": "$identify"')
    panel.get_by_text("Live Data Streaming").click()
    expect(panel.get_by_text("All people of this project are sent once")).to_be_hidden()
    panel.get_by_text("One time").click()
    panel.get_by_role("button", name="Export", exact=True).click()
    expect(signed_in.get_by_role("status").filter(has_text="Amplitude data export initiated")).to_be_visible()
    row = signed_in.locator("table.exports tbody tr").first
    expect(row).to_contain_text("User profiles")
    expect(row).to_contain_text("all people")
    assert Export.objects.latest("pk").type == "user_profiles"


def test_everything_works_without_a_script(browser: Browser, live_server: Any, exports: str, scene: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_server.url)
    page.get_by_text("Create Export").click()
    page.get_by_role("link", name="Amplitude", exact=True).click()
    page.get_by_text("Selected events").click()
    page.get_by_role("button", name="Preview payload").click()
    expect(page.locator("#sent")).to_contain_text("Select at least one event.")
    page.get_by_role("checkbox", name="Charged").check()
    hint = page.locator(".dates noscript p")
    expect(hint).to_be_visible()
    assert hint.inner_text() == "From and To count when Days is “Choose the days”."
    page.locator("[name=preset]").select_option("Choose the days")
    page.locator("[name=date_from]").fill(datetime.now(scene[0].tz).date().isoformat())
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_text("Amplitude data export initiated")).to_be_visible()
    expect(page.get_by_role("button", name="Dismiss")).to_have_count(0)
    row = page.locator("table.exports tbody tr").first
    row.hover()
    row.get_by_role("link", name="Stop").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Amplitude data export stopped")).to_be_visible()
    page.goto(f"{exports}new/amplitude/")
    page.get_by_text("User profiles", exact=True).last.click()
    expect(page.get_by_text("All events", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Preview payload").click()
    expect(page.locator("#sent")).to_contain_text("About 12 people.")
    expect(page.locator("#sent pre").first).to_be_in_viewport()
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.locator("table.exports tbody tr").first).to_contain_text("all people")
    page.goto(exports.replace("partners/exports/", "project/credentials/new/"))
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#secret-value")).to_be_visible()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    context.close()
