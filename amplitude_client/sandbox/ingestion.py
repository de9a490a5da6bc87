"""POST /batch and POST /2/httpapi: read, check, take or refuse, as Amplitude does."""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from amplitude_client.sandbox import answers, limits, rules
from amplitude_client.sandbox.faults import Fault, Faults, Incoming, reply_of
from amplitude_client.sandbox.state import LoggedRequest, State, project_of
from amplitude_client.sandbox.wire import Reply, Request

MAX_EVENTS = 2_000
# Documented as 20 MB and 1 MB; whether before or after gzip is not: after, to be strict.
MAX_BYTES: Mapping[str, int] = {"/batch": 20_000_000, "/2/httpapi": 1_000_000}
_NAMING = frozenset({"throttle", "quota", "silence"})
# These shape or delay the usual answer; all other faults replace it.
_MODIFIERS = _NAMING | {"delay", "refuse_events", "first_index_only"}


class _RefusedError(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


async def ingest(request: Request, *, region: str, state: State, faults: Faults) -> Reply | None:
    """The reply, or None to hang up. Every request stands in the log from its beginning to its end."""
    entry = state.open_request(region, request.path, request.started_at)
    reply: Reply | None = None
    try:
        reply = await _settle(request, entry, state, faults)
    except _RefusedError as refused:
        reply = refused.reply
    finally:
        entry.ended_at = state.clock()
        entry.status = reply.status if reply else None
    return reply


async def _settle(request: Request, entry: LoggedRequest, state: State, faults: Faults) -> Reply | None:
    body = _unpack(request)
    data = _load(body)
    incoming = _look(entry, body, data)
    active = list(faults.matching(incoming))
    for fault in (fault for fault in active if fault.kind == "delay"):
        faults.spend(fault)
        await asyncio.sleep(fault.seconds)
    loud = next((fault for fault in active if fault.kind not in _MODIFIERS), None)
    if loud is None:
        return _judge(request, data, incoming, state, active)
    faults.spend(loud)
    if loud.accept:
        verdict = _judge(request, data, incoming, state, active)
        if verdict.status != 200:
            return verdict
    return reply_of(loud, incoming)


def _unpack(request: Request) -> bytes:
    limit = MAX_BYTES[request.path]
    if request.too_long or len(request.body) > limit:
        raise _RefusedError(answers.too_large())
    # That a wrong Content-Type is refused is documented; with which words is not.
    if not request.body or not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise _RefusedError(answers.bad_request("Missing request body"))
    if request.headers.get("content-encoding", "").lower() != "gzip":
        return request.body
    try:
        body = zlib.decompressobj(wbits=31).decompress(request.body, limit + 1)
    except zlib.error as error:
        raise _RefusedError(answers.bad_request("Invalid JSON request body")) from error
    if len(body) > limit:
        raise _RefusedError(answers.too_large())
    return body


def _load(body: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _RefusedError(answers.bad_request("Invalid JSON request body")) from error
    if not isinstance(data, dict):
        raise _RefusedError(answers.bad_request("Invalid JSON request body"))
    return data


def _look(entry: LoggedRequest, body: bytes, data: dict[str, Any]) -> Incoming:
    """What the faults and the log may see of a request that can still be wrong in every way."""
    api_key, events = data.get("api_key"), data.get("events")
    key = api_key if isinstance(api_key, str) else ""
    usable = events if isinstance(events, list) and all(type(event) is dict for event in events) else []
    entry.project, entry.bytes, entry.events = project_of(key), len(body), len(usable)
    return Incoming(entry.region, key, body, usable)


def _judge(request: Request, data: dict[str, Any], incoming: Incoming, state: State, active: Sequence[Fault]) -> Reply:
    """Amplitude's verdict: all events of the request are taken, or none."""
    refusal = (
        _check_envelope(data, incoming, state)
        or _check_events(request.path, data, incoming, active)
        or _check_limits(request.path, incoming, active, state.clock())
    )
    if refusal is not None:
        return refusal
    events = list(incoming.events)
    state.accept(incoming.region, incoming.api_key, events, incoming.body)
    limits.record([fault for fault in active if fault.kind in _NAMING], events, now=state.clock())
    # Whether repeats count as ingested is not documented: they do here.
    return answers.accepted(len(events), len(incoming.body), int(state.clock() * 1_000))


def _check_envelope(data: dict[str, Any], incoming: Incoming, state: State) -> Reply | None:
    for name in ("api_key", "events"):
        if name not in data:
            return answers.bad_request(answers.MISSING_FIELD, missing_field=name)
    if not state.knows_key(incoming.region, incoming.api_key):
        return answers.invalid_key(data["api_key"])
    events = data["events"]
    if not isinstance(events, list) or len(incoming.events) != len(events):
        return answers.bad_request("Invalid event JSON")
    return answers.too_large() if len(events) > MAX_EVENTS else None


def _check_events(path: str, data: dict[str, Any], incoming: Incoming, active: Sequence[Fault]) -> Reply | None:
    options = data.get("options")
    given = options.get("min_id_length") if isinstance(options, dict) else None
    maps = rules.check(incoming.events, min_id_length=given if type(given) is int else rules.MIN_ID_LENGTH)
    first_only = path != "/batch"
    for fault in active:
        if fault.kind == "first_index_only" or (fault.kind == "refuse_events" and fault.first_only):
            first_only = True
        if fault.kind == "refuse_events":
            _refuse(fault, incoming, maps)
    if not maps:
        return None
    return answers.index_maps(rules.first_only(maps) if first_only else maps)


def _refuse(fault: Fault, incoming: Incoming, maps: rules.Maps) -> None:
    indexes = [index for index, event in enumerate(incoming.events) if fault.names(event)]
    if indexes:
        Faults.spend(fault)
        listed = maps.setdefault(fault.map, {}).setdefault(fault.field, [])
        listed[:] = sorted({*listed, *indexes})


def _check_limits(path: str, incoming: Incoming, active: Sequence[Fault], now: float) -> Reply | None:
    naming = [fault for fault in active if fault.kind in _NAMING]
    reply = limits.answer(naming, incoming, path=path, now=now) if naming else None
    if reply is not None:
        for fault in naming:
            Faults.spend(fault)
    return reply
