"""Reading an uploaded record (CleverTap, upload events): an event, a profile or a token, cleaned, or a Refusal."""

import math
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from events import profiles
from events.models import Flag
from events.people_rows import FBID, GPID, IDENTITY, Key
from events.properties import CHARGED, clean_properties
from events.refusals import (
    IDENTITY_MISSING,
    NAME_MISSING,
    OBJECT_ID,
    STRUCTURE,
    TIMESTAMP,
    TIMESTAMP_TEXT,
    TOO_MANY_PROPERTIES,
    TYPE_UNKNOWN,
    Refusal,
    event_refusal,
)
from events.text import as_text, clean_text, is_odd_name

EXACT = 2**53  # from here on a float may stand for several whole numbers
NAME_CHARACTERS = 512
ITEMS = 256  # of a Charged event
IDENTITY_CHARACTERS, IDENTITY_BYTES = 1_024, 2_500  # an entry of an index has 2,704 bytes, the project's id among them
FUTURE = timedelta(days=1)
YEAR_2000 = 946_684_800
UID_NAMESPACE = uuid.UUID("6f1c0f62-6a0e-5c57-9d3f-0a5b8f0c9f11")
_OBJECT_ID = re.compile(r"[A-Za-z0-9()!:@$_\-]{1,64}")


class EventRecord(NamedTuple):
    """`place` in the request, from 0. `properties` is JSON. `uid` None: one is made when the event is written.

    others: further names of its person, as kind and value.
    """

    place: int
    identity: str | None
    device: str | None
    name: str
    at: datetime
    properties: bytes
    flags: int
    uid: str | None
    others: tuple[Key, ...] = ()


class ProfileRecord(NamedTuple):
    """update: what it does to the person."""

    place: int
    identity: str | None
    device: str | None
    at: datetime
    update: profiles.Update
    uid: str | None
    others: tuple[Key, ...] = ()


Record = EventRecord | ProfileRecord


def read_record(record: Any, *, index: int, now: datetime, limit: int) -> Record:
    """The record, ready to be stored; `limit` is the most characters of a value. Raises Refusal."""
    if not isinstance(record, dict):
        raise Refusal(STRUCTURE, "A record must be a JSON object.")
    kind = record.get("type")
    if kind == "event":
        return _event(record, index, now, limit)
    if kind == "profile":
        update = profiles.read_update(record.get("profileData"), limit=limit)
        identity, device, others = _who(record)
        if (named := read_identity(update.identity)) and named != identity:
            identity, others = (identity, (*others, (IDENTITY, named))) if identity else (named, others)
        return ProfileRecord(index, identity, device, _time(record.get("ts"), now), update, _uid(record), others)
    if kind == "token":
        device = _device(record.get("objectId"))
        return ProfileRecord(index, None, device, now, profiles.read_token(record, device), _uid(record))
    raise Refusal(TYPE_UNKNOWN, "The record is neither an event nor a profile. Set type to event, profile or token.")


def _event(record: Mapping[str, Any], index: int, now: datetime, limit: int) -> EventRecord:
    given = record.get("evtName")
    if not isinstance(given, str):
        raise _nameless(given)
    name, flags = _name(given)
    data = record.get("evtData")
    if data is None:
        data = {}
    elif not isinstance(data, dict):
        raise event_refusal(STRUCTURE, "evtData must be an object of property names and values.")
    if name == CHARGED and isinstance(items := data.get("Items"), list) and len(items) > ITEMS:
        raise event_refusal(TOO_MANY_PROPERTIES, f"Items has {len(items)} entries; {ITEMS} is the most. Send fewer.")
    identity, device, others = _who(record)
    properties, property_flags = clean_properties(data, limit=limit)
    ts = record.get("ts")
    at = now if ts is None else _time(ts, now)
    return EventRecord(
        index, identity, device, name, at, orjson.dumps(properties), flags | property_flags, _uid(record), others
    )


def _nameless(given: Any) -> Refusal:
    if given is None:
        return event_refusal(NAME_MISSING, "Event name is mandatory.")
    return event_refusal(STRUCTURE, "evtName must be text.")


@lru_cache(maxsize=5_000)
def _name(given: str) -> tuple[str, int]:
    name = clean_text(given)
    if not name.strip():
        raise event_refusal(NAME_MISSING, "Event name is mandatory.")
    if len(name) > NAME_CHARACTERS:
        raise event_refusal(
            STRUCTURE, f"The event name has {len(name)} characters; {NAME_CHARACTERS} is the most. Shorten it."
        )
    return name, (Flag.WELL_KNOWN if name == CHARGED else 0) | (Flag.ODD_NAME if is_odd_name(name) else 0)


def _who(record: Mapping[str, Any]) -> tuple[str | None, str | None, tuple[Key, ...]]:
    """Identity, device, and further names: FBID and GPID."""
    identity = read_identity(record.get("identity"))
    device = _device(record.get("objectId"))
    others: tuple[Key, ...] = ()
    if "FBID" in record or "GPID" in record:
        names = ((kind, read_identity(record.get(key))) for key, kind in (("FBID", FBID), ("GPID", GPID)))
        others = tuple((kind, value) for kind, value in names if value is not None)
    if identity is None and device is None and not others:
        raise Refusal(IDENTITY_MISSING, "The record has no identity. Send identity, objectId, FBID or GPID.")
    return identity, device, others


def read_identity(given: Any) -> str | None:
    """An id as it is stored, or None when there is none: 42 and 42.0 are one. Raises Refusal."""
    if given is None or given == "":
        return None
    is_nothing = isinstance(given, float) and not math.isfinite(given)  # NaN would be one person for many
    if is_nothing or isinstance(given, bool) or not isinstance(given, str | int | float):
        raise Refusal(IDENTITY_MISSING, "An identity must be text or a number.")
    if isinstance(given, float) and abs(given) >= EXACT:
        raise Refusal(IDENTITY_MISSING, "The identity has more digits than a number keeps: send it as text.")
    identity = clean_text(as_text(given)).strip()
    if len(identity) > IDENTITY_CHARACTERS or len(identity.encode()) > IDENTITY_BYTES:
        most = f"{IDENTITY_CHARACTERS}, and {IDENTITY_BYTES} bytes, is the most"
        raise Refusal(IDENTITY_MISSING, f"The identity has {len(identity)} characters; {most}. Shorten it.")
    return identity or None


def _device(given: Any) -> str | None:
    """An objectId, or None when there is none. Raises Refusal."""
    if given is None or given == "":
        return None
    device = "" if isinstance(given, bool) or not isinstance(given, str | int) else str(given)
    if not _OBJECT_ID.fullmatch(device):
        raise Refusal(
            OBJECT_ID, "objectId is not valid. It has 1 to 64 characters out of A-Z, a-z, 0-9 and ( ) ! : @ $ _ -"
        )
    return device


def _time(given: Any, now: datetime) -> datetime:
    """`ts` in epoch seconds, digits in a string too; now when it is not given."""
    if given is None:
        return now
    if isinstance(given, str) and given.strip().isascii() and given.strip().isdigit():
        given = int(given) if len(given) < 20 else -1
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:  # NaN too
        raise Refusal(TIMESTAMP, TIMESTAMP_TEXT)
    latest = _latest(now)
    if given > latest:
        in_milliseconds = YEAR_2000 * 1000 <= given <= latest * 1000  # no division: `given` may be too large for it
        why = "It is in milliseconds: send seconds." if in_milliseconds else "It lies in the future."
        raise Refusal(TIMESTAMP, f"{TIMESTAMP_TEXT} {why}")
    return datetime.fromtimestamp(given, UTC)


@lru_cache(maxsize=16)
def _latest(now: datetime) -> float:
    return (now + FUTURE).timestamp()


def _uid(record: Mapping[str, Any]) -> str | None:
    """The optional `uid`: a UUID as it is, other text as the UUID that always belongs to it."""
    given = record.get("uid")
    if given is None or given == "":
        return None
    if isinstance(given, bool) or not isinstance(given, str | int) or len(str(given)) > IDENTITY_CHARACTERS:
        raise Refusal(STRUCTURE, "uid must be a text or a number that no other record has.")
    try:
        return str(uuid.UUID(str(given)))
    except ValueError:
        return str(uuid.uuid5(UID_NAMESPACE, clean_text(str(given))))
