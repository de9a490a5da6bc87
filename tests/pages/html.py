"""Reading answers in tests: text without tags, and elements by id."""

import html
import re
from html.parser import HTMLParser
from typing import Any

from django.http import HttpResponse
from django.test import Client

VOID = {"input", "link", "meta", "br", "hr", "img", "path", "rect", "line", "circle", "stop"}


class Site:
    """A signed-in browser without a window. `htmx=True` asks as htmx does."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get(self, url: str, data: Any = None, *, htmx: bool = False) -> HttpResponse:
        return self.client.get(url, data, headers=_headers(htmx=htmx))

    def post(self, url: str, data: Any = None, *, htmx: bool = False) -> HttpResponse:
        return self.client.post(url, data, headers=_headers(htmx=htmx))

    def text(self, url: str, data: Any = None) -> str:
        response = self.get(url, data)
        assert response.status_code == 200, (response.status_code, response.content[:400])
        return text(response)


def _headers(*, htmx: bool) -> dict[str, str]:
    return {"HX-Request": "true"} if htmx else {}


def body(response: HttpResponse) -> str:
    return response.content.decode()


def text(response: HttpResponse) -> str:
    """What people read, with single spaces."""
    without_tags = re.sub(r"<[^>]+>", " ", body(response))
    return " ".join(html.unescape(without_tags).split())


class _Element(HTMLParser):
    """Cuts out the element with one id, white space, tokens and the marks of a swap left aside."""

    def __init__(self, wanted: str) -> None:
        super().__init__(convert_charrefs=True)
        self.wanted, self.depth, self.parts = wanted, 0, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self.depth and dict(attrs).get("id") != self.wanted:
            return
        kept = [(name, value) for name, value in attrs if name not in ("hx-swap-oob", "value") or tag != "input"]
        self.parts.append(f"<{tag} {[pair for pair in kept if pair[0] != 'hx-swap-oob']}>")
        if tag not in VOID:
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        if self.depth and tag not in VOID:
            self.parts.append(f"</{tag}>")
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth and data.strip():
            self.parts.append(" ".join(data.split()))


def element(response: HttpResponse, wanted: str) -> list[str]:
    """The element with this id, in a form that can be compared."""
    parser = _Element(wanted)
    parser.feed(body(response))
    assert parser.parts, f"There is no element with the id {wanted}."
    return parser.parts
