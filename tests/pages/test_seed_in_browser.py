"""The seed page, step by step, in a real browser on a running portal: integrate, export, watch, stop, filter."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from amplitude_client.sandbox import Sandbox
from tests.endtoend.user import User, shop_events
from tests.pages.browsing import listen, said, unexpected
from tests.portal import RunningPortal

KEY = "c0de" * 8
EVENTS = 2_500


@pytest.fixture(scope="module")
def amplitude() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


@pytest.fixture(scope="module")
def portal(amplitude: Sandbox) -> Iterator[RunningPortal]:
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        urls = {"AMPLITUDE_EU_URL": amplitude.eu_url, "AMPLITUDE_STANDARD_URL": amplitude.standard_url}
        with RunningPortal(folder, **urls) as running:
            yield running


@pytest.fixture(scope="module")
def user(portal: RunningPortal) -> User:
    user = User(portal, name="Kirana Mobile", timezone="Asia/Kolkata")
    user.upload(shop_events(EVENTS))
    return user


@pytest.fixture
def signed_in(page: Page, portal: RunningPortal) -> Iterator[Page]:
    """The first login; whatever the console calls an error fails the test."""
    errors = listen(page)
    email, password = portal.login
    page.goto(portal.url)
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    yield page
    assert unexpected(errors) == []


def test_a_marketer_follows_the_seed_step_by_step(
    signed_in: Page, portal: RunningPortal, user: User, amplitude: Sandbox
) -> None:
    page, root = signed_in, f"{portal.url}/{user.project['account_id']}/settings/partners/"
    page.goto(root)
    _integrate(page)
    _export(page, portal, amplitude)
    _export_profiles(page)
    _stream(page, user, amplitude)
    _export_and_stop(page, amplitude)
    _edit(page)
    _filter(page, user)
    _page_sizes(page)


def _integrate(page: Page) -> None:
    page.get_by_role("link", name="Integrate Amplitude").click()
    panel = page.get_by_role("dialog", name="Integrate Amplitude")
    panel.get_by_label("Partner Nickname").fill("Growth analytics")
    panel.get_by_label("API key").fill(KEY)
    expect(panel.get_by_role("radio", name=re.compile("Europe"))).to_be_checked()
    panel.get_by_role("button", name="Test connection").click()
    expect(panel.get_by_text("Connection works.")).to_be_visible(timeout=20_000)
    panel.get_by_role("button", name="Integrate").click()
    expect(said(page, "Amplitude has been integrated as “Growth analytics”")).to_be_visible()
    expect(page.get_by_text(f"Europe · key ••••{KEY[-4:]}")).to_be_visible()


def _export(page: Page, portal: RunningPortal, amplitude: Sandbox) -> None:
    """PENDING while the workers rest, RUNNING while Amplitude takes its time, DONE: one page, never reloaded."""
    page.get_by_role("link", name="Exports", exact=True).click()
    amplitude.faults({"kind": "delay", "seconds": 3})
    row = page.locator("table.exports tbody tr").first
    with _resting_workers(portal):
        panel = _open_panel(page)
        expect(panel.locator("#sent")).to_contain_text(f"About {EVENTS:,} records.")
        panel.get_by_text("Preview payload").click()
        expect(panel.locator("#sent pre").first).to_contain_text('"insert_id"')
        panel.get_by_role("button", name="Export", exact=True).click()
        expect(said(page, "Amplitude data export initiated")).to_be_visible()
        expect(row).to_contain_text("PENDING")
    expect(row).to_contain_text("RUNNING", timeout=30_000)
    amplitude.clear_faults()
    expect(row).to_contain_text("DONE", timeout=30_000)
    expect(row).to_contain_text(f"{EVENTS:,}")
    row.hover()
    row.get_by_role("link", name="View").click()
    expect(page.get_by_text("everything accounted for")).to_be_visible()
    page.get_by_role("link", name="Exports", exact=True).first.click()


def _export_and_stop(page: Page, amplitude: Sandbox) -> None:
    amplitude.faults({"kind": "delay", "seconds": 2})
    panel = _open_panel(page)
    panel.get_by_text("Recurring", exact=True).click()
    panel.get_by_label("Export every").select_option("8")
    panel.get_by_label("Name (optional)").fill("Every eight hours")
    panel.get_by_role("button", name="Export", exact=True).click()
    row = page.locator("table.exports tbody tr").first
    expect(row).to_contain_text("every 8 hours")
    row.hover()
    row.get_by_role("link", name="Stop").click()
    page.get_by_role("dialog", name="Stop export?").get_by_role("button", name="Stop").click()
    expect(said(page, "Amplitude data export stopped")).to_be_visible()
    expect(row).to_contain_text("STOPPED")
    amplitude.clear_faults()


def _export_profiles(page: Page) -> None:
    panel = _open_panel(page)
    panel.get_by_text("User profiles", exact=True).click()
    panel.get_by_label("Name (optional)").fill("Everybody")
    panel.get_by_role("button", name="Export", exact=True).click()
    row = _row(page, "Everybody")
    expect(row).to_contain_text("User profiles")
    expect(row).to_contain_text("DONE", timeout=30_000)


def _stream(page: Page, user: User, amplitude: Sandbox) -> None:
    """A live export runs on; what is captured now arrives while one looks, without a reload."""
    panel = _open_panel(page)
    panel.get_by_text("Live Data Streaming", exact=True).click()
    panel.get_by_text("Selected events", exact=True).click()
    panel.get_by_label("Search events").fill("charg")
    panel.get_by_role("checkbox", name="Charged").check()
    panel.get_by_label("Name (optional)").fill("As it happens")
    panel.get_by_role("button", name="Export", exact=True).click()
    row = _row(page, "As it happens")
    expect(row).to_contain_text("RUNNING", timeout=30_000)
    expect(row).to_contain_text("Up to date")
    uploaded = [
        {"type": "event", "identity": "customer-live", "evtName": name, "evtData": {}}
        for name in ("Charged", "Searched")
    ]
    user.upload(uploaded)
    expect(row.get_by_role("cell").nth(5)).to_contain_text("1", timeout=30_000)


def _edit(page: Page) -> None:
    """A recurring export is edited; neither a One time export nor one that is STOPPED offers it."""
    for name in ("Growth analytics", "Every eight hours"):
        row = page.locator("table.exports tbody tr").filter(has_text=name).last
        row.hover()
        expect(row.get_by_role("link", name="View")).to_be_visible()
        expect(row.get_by_role("link", name="Edit")).to_have_count(0)
    panel = _open_panel(page)
    panel.get_by_text("Recurring", exact=True).click()
    panel.get_by_label("Name (optional)").fill("Half-daily")
    panel.get_by_role("button", name="Export", exact=True).click()
    row = _row(page, "Half-daily")
    row.hover()
    row.get_by_role("link", name="Edit").click()
    panel = page.get_by_role("dialog", name="Export to Amplitude")
    expect(panel.get_by_text("You cannot change the export from User Profile to Event")).to_be_visible()
    panel.get_by_label("Export every").select_option("12")
    panel.get_by_text("Engagement events", exact=True).click()
    panel.get_by_role("button", name="Update export").click()
    expect(said(page, "Amplitude data export updated.")).to_be_visible()
    expect(row).to_contain_text("every 12 hours")
    expect(row).to_contain_text("Engagement events (20)")
    row.hover()
    row.get_by_role("link", name="View").click()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_text("Every hours: 24 → 12")).to_be_visible()
    page.get_by_role("link", name="Exports", exact=True).first.click()


def _filter(page: Page, user: User) -> None:
    """By each field and by date, alone and together, with chips, and a link that keeps them."""
    rows = page.locator("table.exports tbody tr")
    expect(rows).to_have_count(5)
    _filter_by(page, "Done")
    expect(rows).to_have_count(2)
    expect(page.get_by_text("Status: Done")).to_be_visible()
    _filter_by(page, "User profiles")
    expect(rows).to_have_count(1)
    expect(page.get_by_text("Type: User profiles")).to_be_visible()
    page.reload()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="Remove the filter Status: Done").click()
    page.get_by_role("link", name="Remove the filter Type: User profiles").click()
    expect(rows).to_have_count(5)
    for field, count in (("Recurring", 2), ("Live Data Streaming", 1), ("JSON", 5), ("Amplitude", 5), ("Stopped", 1)):
        _filter_by(page, field)
        expect(rows).to_have_count(count)
        page.get_by_role("link", name="Reset all").first.click()
        expect(rows).to_have_count(5)
    today = datetime.now(ZoneInfo("Asia/Kolkata")).date()
    for first, last, count in ((today - timedelta(days=9), today - timedelta(days=7), 0), (today, today, 5)):
        _exported_on(page, f"{first}/{last}")
        expect(rows).to_have_count(count)
    expect(page.get_by_text("Exported on:")).to_be_visible()
    page.get_by_role("link", name="Reset all").first.click()
    page.get_by_role("searchbox").fill("eight")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="Reset all").first.click()
    page.get_by_role("link", name="Status", exact=True).click()
    expect(page.get_by_role("columnheader", name="Status")).to_have_attribute("aria-sort", "ascending")


def _filter_by(page: Page, choice: str) -> None:
    page.get_by_text(re.compile("^Filter")).click()
    page.get_by_role("checkbox", name=choice, exact=True).check()
    page.get_by_role("button", name="Apply").click()


def _exported_on(page: Page, days: str) -> None:
    page.get_by_text(re.compile("^Filter")).click()
    page.get_by_role("button", name=re.compile("^Exported on")).click()
    page.locator("calendar-range").evaluate(
        "(calendar, days) => { calendar.value = days; calendar.dispatchEvent(new Event('change')); }", days
    )
    page.get_by_role("button", name="Apply").click()


def _page_sizes(page: Page) -> None:
    for size in ("10", "30", "40", "20"):
        page.get_by_label("Items per page").select_option(size)
        expect(page).to_have_url(re.compile(f"page_size={size}"))
    page.get_by_label("Items per page").select_option("10")
    expect(page).to_have_url(re.compile("page_size=10"))
    page.get_by_role("link", name="Exports", exact=True).first.click()
    expect(page.get_by_label("Items per page")).to_have_value("10")


def _row(page: Page, name: str) -> Locator:
    return page.locator("table.exports tbody tr").filter(has_text=name)


def _open_panel(page: Page) -> Locator:
    page.locator("#create-export").click()
    page.get_by_role("link", name="Amplitude", exact=True).click()
    return page.get_by_role("dialog", name="Export to Amplitude")


@contextmanager
def _resting_workers(portal: RunningPortal) -> Iterator[None]:
    """No worker does anything inside the block."""
    workers = [process for process in portal.descendants() if "worker" in process.cmdline()]
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()
