"""How long requests took and how they ended, ours and those to partners, over all processes and machines.

Each process counts for itself and adds what it counted to one hash in Redis every second, from a thread of its own: no
request waits for Redis, and nothing is lost while it is away. A process that is killed takes its last second along.
"""

import atexit
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import redis
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from exports_portal.common import heartbeat

KEY = "portal:timings"
EVERY_SECONDS = 1.0
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds, upper bounds
HTTP = "http"  # requests that the portal answers
PARTNER = "partner"  # requests that the portal makes
KINDS = (("/1/upload", "upload"), ("/1/", "clevertap"), ("/api/", "api"), ("/admin/", "admin"))
NOT_TIMED = ("/live", "/ready", "/metrics", "/static/")


class Series(NamedTuple):
    """What is counted apart. label: of HTTP what was asked for, see KINDS. status: "none" when no answer came."""

    name: str
    label: str
    status: str


class Histogram(NamedTuple):
    """buckets: how many took up to each of BUCKETS, and after them how many there were. seconds: of all together."""

    buckets: list[int]
    seconds: float

    @property
    def total(self) -> int:
        return self.buckets[-1]

    def within(self, share: float) -> float | None:
        """The smallest of BUCKETS in which this share of the requests stayed; None when it is more than the largest."""
        return next(
            (bound for bound, count in zip(BUCKETS, self.buckets, strict=False) if count >= share * self.total), None
        )


class _Counts:
    """What this process has counted and not added yet."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.flushing = threading.Lock()  # whoever flushes finds everything added when it returns
        self.pending: Counter[str] = Counter()
        self.thread: threading.Thread | None = None

    def add(self, series: Series, seconds: float) -> None:
        bucket = next((place for place, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        key = "|".join(series)
        with self.lock:
            self.pending[f"{key}|{bucket}"] += 1
            self.pending[f"{key}|us"] += round(seconds * 1e6)
            if self.thread is None:
                self.thread = threading.Thread(target=self._run, name="timings", daemon=True)
                self.thread.start()

    def flush(self) -> None:
        """Add to Redis what is pending; it stays pending when Redis is away."""
        with self.flushing:
            with self.lock:
                pending, self.pending = self.pending, Counter()
            try:
                _add_to_redis(pending)
            except redis.RedisError:
                with self.lock:
                    self.pending.update(pending)

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_SECONDS)
            self.flush()


def _add_to_redis(pending: Counter[str]) -> None:
    if not pending:
        return
    with heartbeat.connect() as connection, connection.pipeline(transaction=True) as pipe:
        for key, number in pending.items():
            pipe.hincrby(KEY, key, number)
        pipe.execute()


_counts = _Counts()


def _start_anew() -> None:
    """A child of a fork has neither its parent's thread nor its parent's numbers."""
    global _counts
    _counts = _Counts()


os.register_at_fork(after_in_child=_start_anew)


def flush() -> None:
    """Add what this process counted now; also at its end."""
    _counts.flush()


atexit.register(flush)


def asked_partner(*, status: int | None, ms: float) -> None:
    """A request to a partner was answered with `status`, or not at all."""
    _counts.add(Series(PARTNER, "", str(status or "none")), ms / 1000)


def read() -> dict[Series, Histogram]:
    """All that was counted by everybody. Raises redis.RedisError."""
    with heartbeat.connect() as connection:
        stored: dict[bytes, bytes] = connection.hgetall(KEY)
    counts: dict[Series, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))
    seconds: dict[Series, float] = defaultdict(float)
    for key, number in stored.items():
        name, label, status, what = key.decode().split("|")
        series = Series(name, label, status)
        if what == "us":
            seconds[series] = int(number) / 1e6
        else:
            counts[series][int(what)] = int(number)
    return {series: Histogram(_cumulative(counts[series]), seconds[series]) for series in sorted(counts)}


def _cumulative(counts: list[int]) -> list[int]:
    return [sum(counts[: place + 1]) for place in range(len(counts))]


class TimingMiddleware:
    """Times each request by what it is for, not by its address: a series each would have no end."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = self.get_response(request)
        if not request.path.startswith(NOT_TIMED):
            kind = next((kind for start, kind in KINDS if request.path.startswith(start)), "page")
            with suppress(RuntimeError):  # no thread can be started while the interpreter ends
                _counts.add(Series(HTTP, kind, str(response.status_code)), time.perf_counter() - began)
        return response
