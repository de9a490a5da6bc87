"""What a new user does from outside: commands and HTTP, nothing of the portal's inside."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import requests

from tests.portal import RunningPortal


class User:
    """Somebody who makes a project on a running portal and works with it over HTTP."""

    def __init__(self, portal: RunningPortal, *, name: str = "Shop", timezone: str = "Europe/Berlin") -> None:
        done = portal.manage("create_project", name, "--timezone", timezone, "--json")
        assert done.returncode == 0, done.stderr
        self.portal = portal
        self.tz = ZoneInfo(timezone)
        self.project: dict[str, str] = json.loads(done.stdout)
        self.session = requests.Session()

    def upload(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """POST /1/upload, in requests of at most 1,000 records; the last answer. Fails when one is refused."""
        answer: dict[str, Any] = {}
        for start in range(0, len(records), 1000):
            answer = self.clevertap("upload", d=records[start : start + 1000])
        return answer

    def clevertap(self, call: str, **body: Any) -> dict[str, Any]:
        """POST one call of CleverTap's API; fails when it is no success."""
        headers = {
            "X-CleverTap-Account-Id": self.project["account_id"],
            "X-CleverTap-Passcode": self.project["passcode"],
        }
        response = self.session.post(f"{self.portal.url}/1/{call}", json=body, headers=headers, timeout=30)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        assert answer["status"] == "success", answer
        return answer

    def api(self, method: str, path: str, *, expect: int, **body: Any) -> dict[str, Any]:
        """One call of the REST API; fails when the status is not the expected one."""
        response = self.session.request(
            method,
            f"{self.portal.url}/api/v1/{path}",
            json=body or None,
            headers={"Authorization": f"Bearer {self.project['api_token']}"},
            timeout=30,
        )
        assert response.status_code == expect, response.text
        found: dict[str, Any] = response.json()
        return found

    def integrate(self, api_key: str, *, nickname: str = "Growth", **more: str) -> dict[str, Any]:
        return self.api(
            "POST", "integrations/", expect=201, partner="amplitude", nickname=nickname, api_key=api_key, **more
        )

    def export_last_days(self, integration: dict[str, Any]) -> dict[str, Any]:
        today = datetime.now(self.tz).date()
        return self.api(
            "POST",
            "exports/",
            expect=201,
            integration=integration["id"],
            frequency="one_time",
            date_from=str(today - timedelta(days=2)),
            date_to=str(today),
        )

    def wait_for(self, export: dict[str, Any], status: str, *, seconds: float) -> tuple[dict[str, Any], list[str]]:
        """Poll the export until it has the status; returns it and the statuses seen on the way."""
        seen: list[str] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            export = self.api("GET", f"exports/{export['id']}/", expect=200)
            if not seen or seen[-1] != export["status"]:
                seen.append(export["status"])
            if export["status"] == status:
                return export, seen
            time.sleep(0.05)
        raise AssertionError(f"{export} is not {status} after {seconds} s; the portal said:\n{self.portal.output}")

    def wait_until(self, done: Callable[[], bool], *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"Not after {seconds} s; the portal said:\n{self.portal.output}"
            time.sleep(0.1)


def shop_events(count: int, *, people: int = 200) -> list[dict[str, Any]]:
    """Upload records of a small shop over the last hours, no two alike."""
    start = int((datetime.now(UTC) - timedelta(hours=6)).timestamp())
    return [
        {
            "type": "event",
            "identity": f"shopper-{number % people:04}@example.com",
            "evtName": ("Product Viewed", "Added To Cart", "Charged", "Suche · Größe 🛒")[number % 4],
            "ts": start + number % 20_000,
            "evtData": {"Number": number, "Title": f"Café “{number}” / نوع ☕", "Price": number / 4},
        }
        for number in range(count)
    ]


def arrivals(sandbox_url: str, api_key: str) -> list[dict[str, Any]]:
    """Everything that the sandbox at this address accepted for a key, in order, repeats included."""
    found: list[dict[str, Any]] = []
    after = -1
    while True:
        page = requests.get(
            f"{sandbox_url}/control/events", params={"api_key": api_key, "after": after, "limit": 5000}, timeout=30
        ).json()["events"]
        if not page:
            return found
        found += page
        after = page[-1]["seq"]
