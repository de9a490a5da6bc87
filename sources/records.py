"""CleverTap's event records as upload records, and their fingerprints."""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from events.properties import PROPERTIES

LOCAL_TIME = re.compile(r"[0-9]{14}")
PROFILE = {"name": "Name", "email": "Email", "phone": "Phone"}
# Device fields, under the names that uploads have for them.
DEVICE = {
    "app_version": "CT App Version",
    "os_version": "CT OS Version",
    "model": "Model",
    "make": "Make",
    "platform": "Platform",
}


def event_of(record: Any, *, name: str, zone: ZoneInfo) -> dict[str, Any]:
    """The upload record of an event. What it lacks or has wrong is left to the checks of capture.

    `ts` is local time without a zone; in an hour that a clock repeats, the first one is meant.
    """
    if not isinstance(record, Mapping):
        return {"type": "event", "evtName": name}
    profile = _mapping(record.get("profile"))
    device = {own: profile[key] for key, own in DEVICE.items() if profile.get(key) is not None}
    given = _properties(record)
    # CleverTap counts them beside the properties: an event that is full must not be refused for them.
    fits = isinstance(given, Mapping) and len(device.keys() | given.keys()) <= PROPERTIES
    data = {**device, **given} if fits else given
    return {"type": "event", "evtName": name, "evtData": data, "ts": _epoch(record.get("ts"), zone), **_who(profile)}


def profile_of(record: Any) -> dict[str, Any] | None:
    """The upload record of its person; None when the record tells nothing about them."""
    profile = _mapping(record.get("profile")) if isinstance(record, Mapping) else {}
    data = {**_mapping(profile.get("profileData"))}
    data |= {own: profile[key] for key, own in PROFILE.items() if profile.get(key)}
    return {"type": "profile", "profileData": data, **_who(profile)} if data else None


def fingerprint(record: Mapping[str, Any], *, account_id: str, name: str) -> uuid.UUID:
    """The same each time the event is read: made of what never changes of it, so not of the profile around it.

    The record is one that capture takes.
    """
    profile = _mapping(record.get("profile"))
    who = profile.get("objectId") or _who(profile).get("identity")
    parts = [account_id, name, who, record.get("ts")]
    try:
        text = orjson.dumps(
            [*parts, record.get("event_props"), record.get("session_props")], option=orjson.OPT_SORT_KEYS
        )
    except TypeError:  # integers beyond 64 bits, lone surrogates, or a deep value in the shade of another
        text = json.dumps([*parts, _properties(record)], sort_keys=True).encode()
    return uuid.UUID(bytes=hashlib.sha256(text).digest()[:16], version=5)


def uid(mark: uuid.UUID, number: int) -> str:
    """Of the so-manieth event with this fingerprint, from 1."""
    return str(mark if number == 1 else uuid.uuid5(mark, str(number)))


def _properties(record: Mapping[str, Any]) -> Any:
    """Those of session and event as one; what is no object is given back for capture to refuse."""
    parts = [record.get("session_props") or {}, record.get("event_props") or {}]
    odd = [part for part in parts if not isinstance(part, Mapping)]
    return odd[0] if odd else {**parts[0], **parts[1]}


def _who(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Anonymous people have no identity; some records have neither that nor an objectId, then a contact stands in."""
    identity = profile.get("identity") or profile.get("email") or profile.get("phone")
    device = profile.get("objectId")
    if device:
        identity = profile.get("identity")
    return {key: value for key, value in (("identity", identity), ("objectId", device)) if value}


def _epoch(given: Any, zone: ZoneInfo) -> Any:
    """Epoch seconds; of what is no local time, something that capture refuses."""
    text = str(given) if isinstance(given, str | int) else ""
    if not LOCAL_TIME.fullmatch(text):
        return given if given is not None else ""
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=zone)
        return int(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):  # no such time, or beyond the years 1 to 9999 in UTC
        return f"{text}, which is no time"


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}
