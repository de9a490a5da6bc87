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


class Form(HTMLParser):
    """A form as the page shows it: what a browser would send when a button of it is pressed."""

    def __init__(self, response: HttpResponse, action_has: str) -> None:
        super().__init__(convert_charrefs=True)
        self.action, self.fields, self.boxes, self.buttons = "", list[tuple[str, str]](), set[tuple[str, str]](), {}
        self._wanted, self._inside, self._button = action_has, False, None
        self.feed(body(response))
        assert self.action, f"no form leads to {action_has}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self._wanted in given.get("action", ""):
            self.action, self._inside = given["action"], True
        elif self._inside and tag == "input" and "name" in given:
            self._add(given, is_checked="checked" in given)
        elif self._inside and tag == "button":
            self._button = [(given["name"], given["value"])] if "name" in given else []

    def handle_data(self, data: str) -> None:
        if self._button is not None and data.strip():
            self.buttons[data.strip()] = self._button

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"
        self._button = None if tag == "button" else self._button

    def _add(self, given: dict[str, str], *, is_checked: bool) -> None:
        pair = given["name"], given.get("value", "on")
        if given.get("type") == "checkbox":
            self.boxes.add(pair)
        if given.get("type") != "checkbox" or is_checked:
            self.fields.append(pair)

    def tick(self, name: str, value: object) -> "Form":
        pair = (name, str(value))
        assert pair in self.boxes, f"the form has no box {pair}: {self.boxes}"
        self.fields.append(pair)
        return self

    def ticked(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def press(self, site: Site, button: str) -> HttpResponse:
        """The page that comes after it."""
        pairs = [*self.fields, *self.buttons[button]]
        data = {name: [value for key, value in pairs if key == name] for name, _ in pairs}
        return site.client.post(self.action, data, follow=True)  # type: ignore[return-value]
