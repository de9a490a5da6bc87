"""The pictures of docs/screenshots: `make screenshots`. Its own servers, rows that look like a busy shop.

`python -m tests.screenshots --to FOLDER --widths 1440 1024 390` draws every page at every width, to look at.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.plugin import TestStack

DOCS = {"exports", "export-panel", "integrate-panel", "export-view"}
PASSWORD = "correct horse battery staple"
EMAIL = "asha.rao@example.com"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--widths", type=int, nargs="+", default=[])
    options = parser.parse_args()
    stack = TestStack(with_servers=True)
    os.environ |= {"DJANGO_SETTINGS_MODULE": "exports_portal.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": "1"}
    try:
        import django

        django.setup()
        _draw(options.to, options.widths)
    finally:
        stack.stop()


def _draw(folder: Path, widths: list[int]) -> None:
    from django.core.management import call_command
    from playwright.sync_api import sync_playwright

    from tests.conftest import CHROMIUM_SWITCHES, chromium

    call_command("migrate", verbosity=0)
    from tests.pages.scene import paint

    project, pages = paint(EMAIL)
    folder.mkdir(parents=True, exist_ok=True)
    with _web() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_SWITCHES)
        for width in widths or [1440]:
            view = browser.new_page(viewport={"width": width, "height": 900 if width > 600 else 844})
            view.goto(f"{url}/login/")
            view.fill("[name=username]", EMAIL)
            view.fill("[name=password]", PASSWORD)
            view.click("button[type=submit]")
            for name, path in pages.items():
                if widths or name in DOCS:
                    view.goto(f"{url}/{project.account_id}{path}")
                    view.wait_for_timeout(350)
                    suffix = f"-{width}" if widths else ""
                    view.screenshot(path=folder / f"{name}{suffix}.png", full_page=bool(widths))
        browser.close()


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
