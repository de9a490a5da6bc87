"""The pictures of docs/screenshots: `make screenshots`. Its own servers, rows that look like a busy shop.

Every page and panel at each width, as WebP, which is a third of PNG's size. `--whole` draws pages down to their end.
"""

import argparse
import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.plugin import TestStack

WIDTHS = (1440, 1024, 390)
HEIGHTS = {1440: 900, 1024: 768, 390: 844}
QUALITY = 80
DARK = ("exports", "export-view")
PASSWORD = "correct horse battery staple"
EMAIL = "asha.rao@example.com"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    stack = TestStack(with_servers=True)
    os.environ |= {"DJANGO_SETTINGS_MODULE": "exports_portal.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": "1"}
    try:
        import django

        django.setup()
        _draw(options.to, options.widths, whole=options.whole)
    finally:
        stack.stop()


def _draw(folder: Path, widths: Sequence[int], *, whole: bool) -> None:
    from django.core.management import call_command
    from playwright.sync_api import sync_playwright

    from tests.conftest import CHROMIUM_SWITCHES, chromium

    call_command("migrate", verbosity=0)
    from tests.pages.scene import paint

    project, pages = paint(EMAIL)
    folder.mkdir(parents=True, exist_ok=True)
    with _web() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_SWITCHES)
        view = browser.new_page()
        _sign_in(view, url)
        for width in widths:
            view.set_viewport_size({"width": width, "height": HEIGHTS.get(width, 900)})
            for name, path in pages.items():
                view.goto(f"{url}/{project.account_id}{path}")
                _shoot(view, folder / f"{name}-{width}.webp", whole=whole)
                if name in DARK and width == WIDTHS[0]:
                    view.emulate_media(color_scheme="dark")
                    _shoot(view, folder / f"{name}-dark-{width}.webp", whole=whole)
                    view.emulate_media(color_scheme="light")
        browser.close()


def _sign_in(view: Any, url: str) -> None:
    view.goto(f"{url}/login/")
    view.fill("[name=username]", EMAIL)
    view.fill("[name=password]", PASSWORD)
    view.click("button[type=submit]")


def _shoot(view: Any, file: Path, *, whole: bool) -> None:
    view.wait_for_timeout(350)  # panels slide in
    options = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": whole}
    if whole:
        height = view.evaluate("document.documentElement.scrollHeight")
        options["clip"] = {"x": 0, "y": 0, "width": view.viewport_size["width"], "height": height, "scale": 1}
    picture = view.context.new_cdp_session(view).send("Page.captureScreenshot", options)
    file.write_bytes(base64.b64decode(picture["data"]))


class _web:
    """A web server of its own, for the time of a with block."""

    def __enter__(self) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "exports_portal.wsgi", "-b", f"127.0.0.1:{port}", "--threads=4"]
        self.process: Any = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.1)
        raise RuntimeError("The web server did not start.")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


if __name__ == "__main__":
    main()
