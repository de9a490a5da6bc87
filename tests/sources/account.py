"""An account at CleverTap for tests: what it holds, and how it answers, in the shapes that were recorded there."""

import json
from collections.abc import Callable
from typing import Any

from django.db import connection
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

CURSOR = "AfljfgIJBgBnam5Kck4ybWhxYk%2FmXb9%3D%3D"  # already percent-encoded, as the real ones


def record(number: int = 0, *, ts: Any = 20261119054937, who: str = "__g9e75e20d", **profile: Any) -> dict[str, Any]:
    """As Get Events gave them in November 2022."""
    return {
        "profile": {
            "df": {"2": 320, "1": 136, "0": 68},
            "events": {"App Launched": {"count": 1, "first_seen": 1668817176, "last_seen": 1668817176}},
            "os_version": "10",
            "app_version": "1.1.7",
            "make": "xiaomi",
            "model": "M2006C3MII",
            "platform": "Android",
            "objectId": who,
            **profile,
        },
        "session_props": {"session_source": "Others", "utm_source": "google-play", "utm_medium": "organic"},
        "ts": ts,
        "event_props": {"Install": "y", "n": number},
    }


class Account:
    """Answers on a real local server. `days` maps (event, day) to its pages; `faults` are given out first."""

    def __init__(self, server: HTTPServer) -> None:
        self.days: dict[tuple[str, int], list[list[Any]]] = {}
        self.faults: list[tuple[int, Any]] = []
        self.asked: list[Request] = []
        self.on_page: Callable[[], None] = lambda: None
        self.on_fault: Callable[[], None] = lambda: None
        server.expect_request("/1/events.json").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        self.asked.append(request)
        raw = request.query_string.decode()
        if self.faults:
            status, content = self.faults.pop(0)
            self.on_fault()
            connection.close()  # of this thread, which ends
            return _json(content, status)
        if raw.startswith("cursor="):
            return self._page(raw.removeprefix("cursor="))
        body = json.loads(request.get_data())
        if not any(name == body["event_name"] for name, _ in self.days):
            return _json({"status": "fail", "error": f'["Invalid event : {body["event_name"]}"]', "code": 400})
        return _json({"cursor": f"{CURSOR}.{body['event_name'].encode().hex()}.{body['from']}.0", "status": "success"})

    def _page(self, cursor: str) -> Response:
        start, name, day, number = cursor.split(".")
        if start != CURSOR:
            return _json({"status": "fail", "error": "Incorrect Usage", "code": 3})
        self.on_page()
        connection.close()  # of this thread, which ends
        pages = self.days.get((bytes.fromhex(name).decode(), int(day)), [[]])
        following = int(number) + 1
        more = {"next_cursor": f"{CURSOR}.{name}.{day}.{following}"} if following < len(pages) else {}
        return _json({"status": "success", "records": pages[int(number)], **more})

    @property
    def begun(self) -> list[dict[str, Any]]:
        """The questions of the first step."""
        return [json.loads(request.get_data()) for request in self.asked if request.method == "POST"]


def _json(content: Any, status: int = 200) -> Response:
    text = content if isinstance(content, str) else json.dumps(content)
    return Response(text, status=status, content_type="application/json;charset=utf-8")
