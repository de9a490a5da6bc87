"""What tests in a real browser share: signing in, looking at a page at every width, and what a person is told."""

import re
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

from tests.factories import PASSWORD

EMAIL = "asha.rao@example.com"
WIDTHS = (1440, 1024, 390)
HEIGHT = 900
TOLD_BY_THE_PAGE = re.compile(r"status of (401|403|404|422)")  # the browser notes what the page itself has said


def listen(page: Page) -> list[str]:
    """What the console calls an error from now on; a breach of the content security policy is one."""
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def unexpected(errors: list[str]) -> list[str]:
    return [error for error in errors if not TOLD_BY_THE_PAGE.search(error)]


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login/")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/settings/partners/exports/")


def said(page: Page, words: str) -> Locator:
    """The message at the top of the page."""
    return page.get_by_role("status").filter(has_text=words)


def look_at(page: Page, name: str) -> None:
    """At each width nothing is wider than the window; axe finds nothing serious, in the dark neither."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        check_fits(page, f"{name} at {width}")
    check_axe(page, f"{name} at {WIDTHS[-1]}")
    page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
    check_axe(page, name)
    page.emulate_media(color_scheme="dark")
    check_axe(page, f"{name} in the dark", runOnly=["color-contrast"])
    page.emulate_media(color_scheme="light")


def check_fits(page: Page, name: str) -> None:
    """Once it is laid out: after a click or a change of the window's size that may take a moment."""
    page.wait_for_load_state()
    for _ in range(50):
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if overflow <= 0:
            return
        page.wait_for_timeout(100)
    raise AssertionError((name, overflow))


def check_axe(page: Page, name: str, **options: Any) -> None:
    found = Axe().run(page, options=options or None).response["violations"]
    serious = [rule for rule in found if rule["impact"] in ("serious", "critical")]
    assert not serious, (name, [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in serious])
