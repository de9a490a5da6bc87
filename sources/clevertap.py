"""CleverTap's Get Events API as a client sees it (CleverTap, 2.1 and 2.3): two steps, codes, cursors that die.

The region alone decides the host; an address from outside would let people make the portal call others.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import orjson
import requests
from requests.utils import get_environ_proxies

from events import json_text
from events.text import clean_text

BATCH = 1_000
TIMEOUT = (5.0, 60.0)  # seconds: to connect, and of silence
MAX_ANSWER_BYTES = 64 * 2**20
THROTTLED_SECONDS, NOT_READY_SECONDS = 30.0, 5.0  # what CleverTap's own clients wait
CODE_THROTTLED, CODE_NOT_READY, CODE_INCORRECT_USAGE = 1, 2, 3


class Region(NamedTuple):
    label: str
    host: str


REGIONS = {
    "eu1": Region("Europe (default)", "api.clevertap.com"),
    "in1": Region("India", "in1.api.clevertap.com"),
    "sg1": Region("Singapore", "sg1.api.clevertap.com"),
    "us1": Region("United States", "us1.api.clevertap.com"),
    "aps3": Region("Indonesia", "aps3.api.clevertap.com"),
    "mec1": Region("UAE", "mec1.api.clevertap.com"),
}


class ClevertapError(Exception):
    """Something that CleverTap answered, or that it did not. The message says what, for people.

    Wait        goes by itself: ask the same again after `seconds`, or with a backoff when that is None
    DeadCursor  begin the walk again
    NotOffered  this event cannot be read, on no day
    BadAccount  nothing can be read until a person has mended it
    """


class Wait(ClevertapError):
    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class DeadCursor(ClevertapError):
    pass


class NotOffered(ClevertapError):
    pass


class BadAccount(ClevertapError):
    pass


class Page(NamedTuple):
    """next_cursor "": there are no more."""

    records: list[Any]
    next_cursor: str


@dataclass(frozen=True)
class Account:
    """base_url: without a path."""

    account_id: str
    passcode: str = field(repr=False)
    base_url: str


class Client:
    """One connection to one account. Every failure is a ClevertapError."""

    def __init__(self, account: Account) -> None:
        self._url = f"{account.base_url}/1/events.json"
        self._session = requests.Session()
        self._session.trust_env = False  # or ~/.netrc would be sent along
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        if account.base_url.startswith("https:"):
            self._session.proxies.update(get_environ_proxies(account.base_url))
        self._session.headers.update(
            {
                "X-CleverTap-Account-Id": account.account_id,
                "X-CleverTap-Passcode": account.passcode,
                "Content-Type": "application/json",
            }
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_error: object) -> None:
        self._session.close()

    def begin(self, name: str, day: date) -> str:
        """The first cursor of the events of a name on one day of the account; "" when there are none."""
        number = int(f"{day:%Y%m%d}")
        query = orjson.dumps({"event_name": name, "from": number, "to": number})
        address = f"{self._url}?batch_size={BATCH}&app=true&events=false&profile=true"
        return str(self._ask("POST", address, query).get("cursor") or "")

    def page(self, cursor: str) -> Page:
        """The records behind a cursor, which is sent as it came: encoding it again would spoil it."""
        answer = self._ask("GET", f"{self._url}?cursor={cursor}", None)
        records = answer.get("records")
        if not isinstance(records, list):
            raise Wait("CleverTap answered without records.")
        following = str(answer.get("next_cursor") or "")
        if following == cursor:
            raise DeadCursor("CleverTap gave the same cursor twice.")
        return Page(records, following)

    def _ask(self, method: str, address: str, body: bytes | None) -> Mapping[str, Any]:
        try:
            with self._session.request(
                method, address, data=body, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as response:
                content = _body(response)
                status = response.status_code
        except (requests.RequestException, OSError) as error:
            raise Wait(f"CleverTap could not be reached ({type(error).__name__}).") from None
        if len(content) > MAX_ANSWER_BYTES:
            raise NotOffered(f"CleverTap's answer is larger than {MAX_ANSWER_BYTES // 2**20} MB.")
        return _verdict(status, content)


def _body(response: requests.Response) -> bytes:
    """Unpacked, and not much more of it than is wanted."""
    content = bytearray()
    for chunk in response.iter_content(2**18):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            break
    return bytes(content)


def _verdict(status: int, content: bytes) -> Mapping[str, Any]:
    """The answer of a call that went well. Many failures are HTTP 200 with a status of their own."""
    try:
        answer = json_text.parse(content)
    except ValueError:
        answer = None
    if not isinstance(answer, Mapping):
        answer = {}
    error = clean_text(str(answer.get("error") or f"HTTP {status}")[:300])
    code = answer.get("code")
    if status == requests.codes.ok and answer.get("status") == "success":
        return answer
    if status == requests.codes.unauthorized or code == requests.codes.unauthorized:
        raise BadAccount(f"CleverTap refuses the account ID or the passcode in this region: {error}.")
    if status == requests.codes.too_many_requests or code == CODE_THROTTLED:
        raise Wait("CleverTap has too many requests of this account at once.", THROTTLED_SECONDS)
    if code == CODE_NOT_READY or "still in progress" in error.lower():
        raise Wait("CleverTap is still preparing the next page.", NOT_READY_SECONDS)
    if code == CODE_INCORRECT_USAGE or "incorrect usage" in error.lower():
        raise DeadCursor(f"The cursor is no longer good: {error}.")
    if "not allowed" in error.lower() or "invalid event" in error.lower():
        raise NotOffered(f"CleverTap does not offer this event: {error}.")
    raise Wait(f"CleverTap answered: {error}.")
