"""HTTP to Amplitude's batch endpoint. No outcome of the network or of the server raises: it is an Answer."""

import gzip
import ipaddress
import os
import ssl
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from io import BytesIO
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson
import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies

from amplitude_client.answer import Answer, NetworkError, NetworkFault
from amplitude_client.residency import BATCH_PATH

MAX_EVENTS = 2_000
# Amplitude, Batch Event Upload: 20 MB. Whether that is before or after gzip, and 10**6 or 2**20, is not documented;
# the margin makes every reading safe.
MAX_BODY_BYTES = 19_900_000
# Level 1 takes about 5 ms for the 600 kB of 2,000 usual events and leaves a quarter of them: it pays on every
# line slower than about 700 Mbit/s, and costs more than the whole transfer on loopback.
GZIP_FROM = 2_048
# 2,000 long ids named in an answer are about 4 MB; more is not Amplitude.
_MAX_ANSWER_BYTES = 8_000_000
_CHUNK = 256 * 1_024
_LOOPBACK_CHUNK = 4 * 1_024 * 1_024  # no line is slow there, and each chunk is two calls of the system
_TOO_LONG = NetworkError(NetworkFault.OTHER, "The answer was far too long.", sent=True)
_KEPT_HEADERS = ("content-type", "date", "location", "retry-after", "server", "trace-id")


class Limits(NamedTuple):
    """What one request may carry. An event costs its own bytes and one for the comma; the frame is paid once."""

    events: int
    body_bytes: int
    frame_bytes: int


def _frame(api_key: str) -> tuple[bytes, bytes]:
    return b'{"api_key":' + orjson.dumps(api_key) + b',"events":[', b"]}"


def frame_bytes(api_key: str) -> int:
    """Bytes of a request without its events."""
    return sum(len(part) for part in _frame(api_key))


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine itself."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ca_bundle() -> str:
    """The file or folder of the authorities to trust: the environment's, else the file that requests brings."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH


def new_session(base_url: str) -> requests.Session:
    """A session with pooled keep-alive connections.

    The environment is read once here: requests would read it, and ~/.netrc, again for each request, and would send
    loopback traffic to a proxy.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = ca_bundle()
    if not is_loopback(base_url):
        session.proxies.update(get_environ_proxies(base_url))
    return session


class _Body:
    """A body that is handed out in chunks and knows whether anybody has asked for it.

    In one piece, urllib3 would have to send all of it within the connect time-out. And who never asked for the body
    never had a connection: that tells a failure before the request from one after it.
    """

    def __init__(self, content: bytes, chunk: int) -> None:
        self._content = content
        self._chunk = chunk
        self.asked = False

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        self.asked = True
        for start in range(0, len(self._content), self._chunk):
            yield self._content[start : start + self._chunk]


class AmplitudeClient:
    """One keep-alive connection to one region. Not for several threads at a time.

    gzip_from: bodies of so many bytes and more are sent compressed; None: never.
    read_timeout bounds the silence before and within an answer, and the time that the answer's body takes.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str,
        *,
        session: requests.Session | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        gzip_from: int | None = None,
    ) -> None:
        self._head, self._tail = _frame(api_key)
        self._url = base_url.rstrip("/") + BATCH_PATH
        self._session = session or new_session(base_url)
        self._timeout = (connect_timeout, read_timeout)
        self._gzip_from = gzip_from
        self._chunk = _LOOPBACK_CHUNK if is_loopback(base_url) else _CHUNK
        self.limits = Limits(MAX_EVENTS, MAX_BODY_BYTES, frame_bytes(api_key))

    def __repr__(self) -> str:
        return f"<AmplitudeClient {self._url}>"

    def send(self, batch: Sequence[bytes]) -> Answer:
        """Send events that are JSON already, in their order. Whoever calls keeps to `limits`."""
        return self._post(b"".join((self._head, b",".join(batch), self._tail)))

    def check_key(self) -> Answer:
        """Ask with an empty list of events, which records nothing. Observed for HTTP V2, documented nowhere."""
        return self.send(())

    def close(self) -> None:
        """Close the pooled connections; the next request would open new ones."""
        self._session.close()

    @cached_property
    def _blank(self) -> requests.PreparedRequest:
        """Prepared once: requests would merge the same headers and look up the same cookies for every batch."""
        return self._session.prepare_request(
            requests.Request("POST", self._url, headers={"Content-Type": "application/json"})
        )

    def _post(self, content: bytes) -> Answer:
        is_small = self._gzip_from is None or len(content) < self._gzip_from
        body = _Body(content if is_small else gzip.compress(content, compresslevel=1, mtime=0), self._chunk)
        started = time.monotonic()
        try:
            request = self._blank.copy()
            if not is_small:
                request.headers["Content-Encoding"] = "gzip"
            request.prepare_body(body, None)
            with self._session.send(
                request,
                timeout=self._timeout,
                allow_redirects=False,  # a redirect could lead to the other region's host
                stream=True,
            ) as response:
                return self._read(response, started)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            return Answer(None, elapsed_ms=_since(started), error=_network_error(error, sent=body.asked))

    def _read(self, response: requests.Response, started: float) -> Answer:
        """The answer with its body, which gets the read time-out once more as a whole.

        It is read as it comes, and unpacked when it is all there: to wait for a piece of some size, or for one that
        tells anything once unpacked, could take hours with a server that sends a byte every few seconds.
        """
        deadline = time.monotonic() + self._timeout[1]
        content = bytearray()
        fault: NetworkError | None = None
        try:
            while fault is None and (piece := response.raw.read1(64 * 1_024, decode_content=False)):
                content += piece
                if time.monotonic() > deadline:
                    fault = NetworkError(NetworkFault.TIMEOUT_READ, "The answer did not end in time.", sent=True)
                elif len(content) > _MAX_ANSWER_BYTES:
                    fault = _TOO_LONG
            if fault is None and "content-encoding" in response.headers:
                content = bytearray(_unpacked(content, response.headers["content-encoding"]))
                fault = _TOO_LONG if len(content) > _MAX_ANSWER_BYTES else None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            fault = _network_error(error, sent=True)
        kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        return Answer(response.status_code, bytes(content), kept, _since(started), fault)


def _unpacked(content: bytes | bytearray, encoding: str) -> bytes:
    """Unpacked, and not much more of it than an answer may have."""
    packed = urllib3.HTTPResponse(BytesIO(content), {"content-encoding": encoding}, preload_content=False)
    return packed.read(_MAX_ANSWER_BYTES + 1, decode_content=True)


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1_000)


def _network_error(error: BaseException, *, sent: bool) -> NetworkError:
    return NetworkError(_fault(error, sent=sent), f"{type(error).__name__}: {error}", sent=sent)


def _fault(error: BaseException, *, sent: bool) -> NetworkFault:
    causes = list(_causes(error))
    if sent:
        timed_out = (TimeoutError, requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)
        if any(isinstance(cause, timed_out) for cause in causes):
            return NetworkFault.TIMEOUT_READ
        broken = (urllib3.exceptions.ProtocolError, urllib3.exceptions.SSLError, OSError)
        return NetworkFault.CLOSED if isinstance(error, broken) else NetworkFault.OTHER
    return next((kind for types, kind in _BEFORE_SENDING if any(isinstance(c, types) for c in causes)), _OTHER)


_OTHER = NetworkFault.OTHER
# In this order: to urllib3 a failed look-up is a refused connection, and that is a time-out of connecting.
_BEFORE_SENDING: tuple[tuple[tuple[type[BaseException], ...], NetworkFault], ...] = (
    ((urllib3.exceptions.NameResolutionError,), NetworkFault.DNS),
    ((requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError), NetworkFault.TLS),
    ((urllib3.exceptions.NewConnectionError,), NetworkFault.CONNECT),
    ((requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), NetworkFault.TIMEOUT_CONNECT),
    ((requests.ConnectionError, ConnectionError), NetworkFault.CONNECT),
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that it wraps: requests and urllib3 keep the cause in `args` or `reason`."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        candidate = waiting.pop(0)
        if not isinstance(candidate, BaseException) or id(candidate) in seen:
            continue
        seen.add(id(candidate))
        yield candidate
        waiting += [*candidate.args, getattr(candidate, "reason", None), candidate.__cause__, candidate.__context__]
