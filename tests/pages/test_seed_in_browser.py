"""The seed page, step by step, in a real browser on a running portal: integrate, export, watch, stop, filter."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from amplitude_client.sandbox import Sandbox
from tests.endtoend.user import User, shop_events
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
def signed_in(page: Page, portal: RunningPortal) -> Page:
    email, password = portal.login
    page.goto(portal.url)
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    return page


def test_a_marketer_integrates_exports_watches_stops_and_filters(
    signed_in: Page, portal: RunningPortal, user: User, amplitude: Sandbox
) -> None:
    page, root = signed_in, f"{portal.url}/{user.project['account_id']}/settings/partners/"
    page.goto(root)
    _integrate(page)
    _export(page, portal, amplitude)
    _export_and_stop(page, amplitude)
    _filter(page)


def _integrate(page: Page) -> None:
    page.get_by_role("link", name="Integrate Amplitude").click()
    panel = page.get_by_role("dialog", name="Integrate Amplitude")
    panel.get_by_label("Partner Nickname").fill("Growth analytics")
    panel.get_by_label("API key").fill(KEY)
    expect(panel.get_by_role("radio", name=re.compile("Europe"))).to_be_checked()
    panel.get_by_role("button", name="Test connection").click()
    expect(panel.get_by_text("Connection works.")).to_be_visible(timeout=20_000)
    panel.get_by_role("button", name="Integrate").click()
    expect(_said(page, "Amplitude has been integrated as “Growth analytics”")).to_be_visible()
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
        expect(_said(page, "Amplitude data export initiated")).to_be_visible()
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
    expect(_said(page, "Amplitude data export stopped")).to_be_visible()
    expect(row).to_contain_text("STOPPED")
    amplitude.clear_faults()


def _filter(page: Page) -> None:
    rows = page.locator("table.exports tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_text("Filter", exact=True).click()
    page.get_by_role("checkbox", name="Done").check()
    page.get_by_role("button", name="Apply").click()
    expect(rows).to_have_count(1)
    expect(page.get_by_text("Status: Done")).to_be_visible()
    page.get_by_role("link", name="Reset all").first.click()
    expect(rows).to_have_count(2)


def _open_panel(page: Page) -> Locator:
    page.locator("#create-export").click()
    page.get_by_role("link", name="Amplitude", exact=True).click()
    return page.get_by_role("dialog", name="Export to Amplitude")


def _said(page: Page, words: str) -> Locator:
    return page.get_by_role("status").filter(has_text=words)


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
