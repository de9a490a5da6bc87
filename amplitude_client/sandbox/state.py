"""What the sandbox remembers: keys, duplicates, what arrived, and a log of the requests."""

import hashlib
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

DEDUP_SECONDS = 7 * 86_400.0
_LOGGED_REQUESTS = 50_000
_FILE_BYTES = 50_000_000  # then another file begins, and the one before the last is forgotten


def project_of(api_key: str) -> str:
    """How a key is called wherever it is shown or stored: somebody may type a real one."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:12]


@dataclass
class Project:
    """One key in one region."""

    region: str
    project: str
    key_ending: str
    requests: int = 0
    received: int = 0
    accepted_unique: int = 0
    duplicates: int = 0
    by_event_type: Counter[str] = field(default_factory=Counter)
    last_at: float | None = None
    # Hashes only, with the second of the first arrival: two rules of Amplitude, see `_duplicates`.
    seen: dict[int, float] = field(default_factory=dict, repr=False)
    seen_older: dict[int, float] = field(default_factory=dict, repr=False)

    def summary(self) -> dict[str, Any]:
        hidden = ("seen", "seen_older")
        return {name: value for name, value in self.__dict__.items() if name not in hidden}


@dataclass(frozen=True)
class Arrival:
    """An accepted request. The events stay in the bytes in which they came and are parsed when somebody looks."""

    first: int
    count: int
    region: str
    project: str
    at: float
    body: bytes
    duplicates: frozenset[int]


@dataclass
class LoggedRequest:
    """`status` None: still open, or closed without a reply (then `ended_at` is set)."""

    id: int
    region: str
    path: str
    started_at: float
    ended_at: float | None = None
    status: int | None = None
    project: str = ""
    events: int = 0
    bytes: int = 0


class State:
    """forget: keep counts and hashes only. data: a file to which accepted events are written and from which they
    are read again on start; beside it lies an older one, and each has about `file_bytes` at most. clock: seconds since
    1970, for the 7 days."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        forget: bool = False,
        data: Path | None = None,
        file_bytes: int = _FILE_BYTES,
    ) -> None:
        self.clock = clock
        self._forget = forget
        self._keys: dict[str, set[str]] = {}
        self._data, self._file_bytes = data, file_bytes
        self._file: BinaryIO | None = None
        self._ids = 0
        self.reset()
        if data is not None:
            self._load(_older(data))
            self._load(data)
            self._file = data.open("ab")

    def reset(self) -> None:
        """Forget what arrived, duplicates and the file included; keys stay."""
        self.projects: dict[tuple[str, str], Project] = {}
        self.requests: deque[LoggedRequest] = deque(maxlen=_LOGGED_REQUESTS)
        self._arrivals: list[Arrival] = []
        self._next = 0
        if self._file is not None and self._data is not None:
            self._file.truncate(0)
            _older(self._data).unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def register(self, region: str, keys: Sequence[str]) -> None:
        """From now on, only registered keys are valid in any region."""
        self._keys.setdefault(region, set()).update(keys)

    def forget_keys(self) -> None:
        self._keys.clear()

    def knows_key(self, region: str, api_key: str) -> bool:
        """Registered keys are bound to their region. With none registered: 32 hex digits, not beginning with "bad"."""
        if self._keys:
            return api_key in self._keys.get(region, ())
        return len(api_key) == 32 and set(api_key) <= set("0123456789abcdef") and not api_key.startswith("bad")

    def open_request(self, region: str, path: str, started_at: float) -> LoggedRequest:
        self._ids += 1
        entry = LoggedRequest(self._ids, region, path, started_at)
        self.requests.append(entry)
        return entry

    def accept(self, region: str, api_key: str, events: list[dict[str, Any]], body: bytes) -> None:
        """Take the events. Repeats are counted and marked, and not reported to the sender."""
        project = project_of(api_key)
        at = self.clock()
        duplicates = self._take(region, project, api_key[-4:], events, at)
        if self._file is not None:
            line = {"region": region, "project": project, "key_ending": api_key[-4:], "at": at, "events": events}
            self._file.write(orjson.dumps(line) + b"\n")
            self._file.flush()
            self._begin_another_file()
        self._keep(region, project, at, len(events), body, duplicates)

    def _begin_another_file(self) -> None:
        """Once this one is full."""
        if self._file is not None and self._data is not None and self._data.stat().st_size > self._file_bytes:
            self._file.close()
            self._data.replace(_older(self._data))
            self._file = self._data.open("ab")

    def _take(self, region: str, name: str, ending: str, events: list[dict[str, Any]], at: float) -> frozenset[int]:
        project = self.projects.get((region, name))
        if project is None:
            project = self.projects[region, name] = Project(region, name, ending)
        duplicates = _duplicates(project, events, at)
        project.requests += 1
        project.received += len(events)
        project.duplicates += len(duplicates)
        project.accepted_unique += len(events) - len(duplicates)
        project.by_event_type.update([event["event_type"] for event in events])
        project.last_at = at
        return duplicates

    def _keep(self, region: str, project: str, at: float, count: int, body: bytes, duplicates: frozenset[int]) -> None:
        if count and not self._forget:
            self._arrivals.append(Arrival(self._next, count, region, project, at, body, duplicates))
        self._next += count

    def events(
        self, *, api_key: str | None = None, region: str | None = None, after: int = -1, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Accepted events in the order of arrival, beginning behind the sequence number `after`."""
        found: list[dict[str, Any]] = []
        for record in self._records(api_key, region, after):
            if limit is not None and len(found) == limit:
                break
            found.append(record)
        return found

    def newest(self, count: int) -> list[dict[str, Any]]:
        """The last events, newest first."""
        found: list[dict[str, Any]] = []
        for arrival in reversed(self._arrivals):
            found += reversed(list(_records(arrival)))
            if len(found) >= count:
                break
        return found[:count]

    def _records(self, api_key: str | None, region: str | None, after: int) -> Iterator[dict[str, Any]]:
        project = None if api_key is None else project_of(api_key)
        start = max(0, bisect_right(self._arrivals, after, key=lambda arrival: arrival.first) - 1)
        for arrival in self._arrivals[start:]:
            if project in (None, arrival.project) and region in (None, arrival.region):
                yield from (record for record in _records(arrival) if record["seq"] > after)

    def _load(self, path: Path) -> None:
        """Read the file of an earlier life. A last line that was cut off by a crash is left out."""
        if not path.exists():
            return
        good = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                good += len(line)
                row = orjson.loads(line)
                duplicates = self._take(row["region"], row["project"], row["key_ending"], row["events"], row["at"])
                body = orjson.dumps({"events": row["events"]})
                self._keep(row["region"], row["project"], row["at"], len(row["events"]), body, duplicates)
        with path.open("r+b") as file:
            file.truncate(good)


def _older(data: Path) -> Path:
    return data.with_name(f"{data.name}.1")


def device_id_of(event: dict[str, Any]) -> str:
    """The device_id, or the hash of the user_id that Amplitude puts in its place (which hash is not documented)."""
    given = event.get("device_id")
    return str(given) if given else hashlib.sha256(event["user_id"].encode()).hexdigest()[:36]


def _records(arrival: Arrival) -> Iterator[dict[str, Any]]:
    for index, event in enumerate(orjson.loads(arrival.body)["events"]):
        yield {
            "seq": arrival.first + index,
            "region": arrival.region,
            "project": arrival.project,
            "received_at": arrival.at,
            "duplicate": index in arrival.duplicates,
            "device_id": device_id_of(event),
            "event": event,
        }


def _duplicates(project: Project, events: list[dict[str, Any]], at: float) -> frozenset[int]:
    """The indexes of repeats by (insert_id, device_id), or by the older rule (event_id, time, device_id), within
    7 days. The hash of a tuple is 64 bits: for a million events one false repeat in ten million runs."""
    repeats: list[int] = []
    seen, seen_older = project.seen, project.seen_older
    oldest = at - DEDUP_SECONDS
    for index, event in enumerate(events):
        device = event.get("device_id") or ("user", event["user_id"])
        insert_id, event_id, time_ms = event.get("insert_id"), event.get("event_id"), event.get("time")
        key = hash((insert_id, device)) if insert_id else None
        older = hash((event_id, time_ms, device)) if event_id is not None and time_ms is not None else None
        if (key is not None and seen.get(key, 0.0) > oldest) or (
            older is not None and seen_older.get(older, 0.0) > oldest
        ):
            repeats.append(index)
            continue
        if key is not None:
            seen[key] = at
        if older is not None:
            seen_older[older] = at
    return frozenset(repeats)
