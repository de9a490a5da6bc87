"""Throttled, over-quota and silenced ids: named in one answer, as Amplitude does."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from amplitude_client.sandbox import answers
from amplitude_client.sandbox.faults import DAY, Fault, Incoming
from amplitude_client.sandbox.wire import Reply

EPS = {"/batch": 1_000, "/2/httpapi": 30}
_Counts = tuple[Counter[str], Counter[str]]


def answer(faults: Sequence[Fault], incoming: Incoming, *, path: str, now: float) -> Reply | None:
    """429 or the 400 of silenced ids when any of the `faults` names an id of the request; else None."""
    counts = _count(incoming.events)
    named: dict[str, Any] = {}
    for fault in faults:
        for kind, ids in zip(("users", "devices"), _caught(fault, counts, now=now), strict=True):
            if ids:
                _name(named, fault, kind, ids)
    if not named:
        return None
    _list_events(named, faults, incoming.events)
    eps = EPS[path]
    silenced = "silenced_events" in named
    return answers.silenced(named, eps=eps) if silenced else answers.throttled(named, eps=eps)


def record(faults: Sequence[Fault], events: Sequence[dict[str, Any]], *, now: float) -> None:
    """Count accepted events: those of a 429 were not taken and do not count."""
    for fault in faults:
        if fault.per_id:
            for kind, counts in zip("ud", _count(events), strict=True):
                for id_, more in counts.items():
                    fault.meter.add(kind + id_, more, now=now)


def _count(events: Sequence[dict[str, Any]]) -> _Counts:
    users = Counter(event["user_id"] for event in events if event.get("user_id"))
    devices = Counter(event["device_id"] for event in events if event.get("device_id"))
    return users, devices


def _caught(fault: Fault, counts: _Counts, *, now: float) -> tuple[dict[str, int], dict[str, int]]:
    users, devices = (
        {id_: more for id_, more in present.items() if id_ in listed or _is_over(fault, kind + id_, more, now)}
        for kind, present, listed in (("u", counts[0], fault.users), ("d", counts[1], fault.devices))
    )
    return users, devices


def _is_over(fault: Fault, id_: str, more: int, now: float) -> bool:
    if not fault.per_id:
        return False
    window = DAY if fault.kind == "quota" else fault.window
    limit = fault.per_id if fault.kind == "quota" else fault.per_id * fault.window
    return fault.meter.over(id_, more, limit=limit, window=window, now=now)


def _name(named: dict[str, Any], fault: Fault, kind: str, ids: dict[str, int]) -> None:
    if fault.kind == "silence":
        named.setdefault(f"silenced_{kind}", []).extend(ids)
    elif fault.kind == "quota":
        named.setdefault(f"exceeded_daily_quota_{kind}", {}).update(ids)
    else:
        named.setdefault(f"throttled_{kind}", {}).update(ids)


def _list_events(named: dict[str, Any], faults: Sequence[Fault], events: Sequence[dict[str, Any]]) -> None:
    first_only = any(fault.first_only for fault in faults)
    for prefix in ("throttled", "silenced"):
        users = named.get(f"{prefix}_users", ())
        devices = named.get(f"{prefix}_devices", ())
        indexes = [
            index
            for index, event in enumerate(events)
            if event.get("user_id") in users or event.get("device_id") in devices
        ]
        if indexes:
            named[f"{prefix}_events"] = indexes[:1] if first_only else indexes
