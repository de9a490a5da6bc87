"""What a profile or a token record does to a person: checked fields, properties set, keys removed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from events.operators import DELETE, Operation, distinct, is_operation, read_operation
from events.properties import PROPERTIES, clean_properties
from events.refusals import (
    AGE,
    EDUCATION,
    EMAIL,
    EMPLOYED,
    GENDER,
    MARRIED,
    PHONE,
    STRUCTURE,
    TOKEN_DATA,
    TOKEN_ID,
    TOKEN_KEYS,
    TOKEN_OBJECT_ID,
    TOKEN_OF_DEVICE,
    TOKEN_TYPE,
    Refusal,
    profile_refusal,
)
from events.text import as_text

CONTACT_CHARACTERS = 512
TOKEN_CHARACTERS = 4_096
TOKEN_TYPES = ("apns", "gcm", "fcm", "wns", "mpns", "chrome")
# By the prefixes that CleverTap's SDKs give the ids of Android and iOS devices: what these have no tokens of.
STRANGE_TOKENS = {("__g", "__h"): ("apns", "wns", "mpns"), ("-g", "-v", "-h"): ("gcm", "wns", "mpns", "chrome")}
PUSH_TOKEN = "push_token"  # noqa: S105 the name of a property, as CleverTap's answers have it
COLUMNS = {"name": "Name", "email": "Email", "phone": "Phone"}  # kept in columns of the person
OPT_INS = {f"msg-{channel}": f"MSG-{channel}" for channel in ("email", "push", "sms", "whatsapp")}
# However they are typed, CleverTap's own fields have one name, so partners get one property (CleverTap, user profiles).
STANDARD_NAMES = {
    **COLUMNS,
    **OPT_INS,
    **{name.lower(): name for name in ("Gender", "DOB", "Age", "Photo", "Employed", "Education", "Married")},
}
IDENTITY = "identity"
# These may not be multi-value (CleverTap's Android SDK, validation); of operators they take $delete alone.
SINGLE = frozenset({*STANDARD_NAMES, "birthday", "fbid", "gpid", IDENTITY})
_YES_NO = {"true": True, "1": True, "false": False, "0": False}
_PHONE = re.compile(r"\+?[0-9]{5,15}")
_PHONE_FILLERS = re.compile(r"[\s().\-]")


@dataclass(frozen=True)
class Update:
    """columns: name, email and phone that change. properties: keys set. removed: keys taken away, columns included.

    operations: what follows from present values. identity: what the profile says its person's identity is, as sent.
    In `changed` and `removed` the columns bear their standard names, however they were typed: one key for partners.
    `logged` False keeps it out of the profile log: a push token is nothing that a partner should get.
    """

    columns: dict[str, str | None] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    identity: Any = None
    logged: bool = True


def read_update(data: Any, *, limit: int) -> Update:
    """`profileData` as an Update; null removes a key, as $delete does. Raises Refusal."""
    if not isinstance(data, Mapping):
        raise profile_refusal(STRUCTURE, "profileData must be an object of property names and values.")
    properties = {key: value for key, value in data.items() if key.lower() != IDENTITY}
    identity = next((data[key] for key in data if key not in properties), None)  # not cleaned: it is no property
    cleaned, _ = clean_properties(properties, limit=limit, most=PROPERTIES + len(STANDARD_NAMES))
    update = Update(identity=identity)
    for typed, value in cleaned.items():
        lower = typed.lower()
        _read_property(update, lower, STANDARD_NAMES.get(lower, typed), value)
    return update


def _read_property(update: Update, lower: str, key: str, value: Any) -> None:
    if is_operation(value):
        operation = read_operation(key, value)
        if operation.operator == DELETE:
            value = None
        elif lower not in SINGLE:
            update.operations.append(operation)
            return
    if value is None:
        update.removed.append(key)
    else:
        update.changed[key] = value = _checked(lower, key, value)
    if lower in COLUMNS:
        update.columns[lower] = value
    elif value is not None:
        update.properties[key] = value


def _checked(lower: str, key: str, value: Any) -> Any:
    check = CHECKS.get(lower)
    if check is not None:
        return check(value)
    if lower in OPT_INS:
        return _opt_in(key, value)
    if isinstance(value, list | dict) and lower in SINGLE:
        raise profile_refusal(STRUCTURE, f"{key} must have one value.")
    return distinct(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else value


def _opt_in(key: str, value: Any) -> bool:
    found = _YES_NO.get(str(value).lower()) if isinstance(value, bool | str | int) else None
    if found is None:
        raise profile_refusal(STRUCTURE, f"{key} must be true or false.")
    return found


def _email(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    try:
        validate_email(text)
    except ValidationError:
        raise profile_refusal(EMAIL, "Email is not valid.") from None
    return text


def _phone(value: Any) -> str:
    text = _PHONE_FILLERS.sub("", value) if isinstance(value, str) else _digits(value)
    if not _PHONE.fullmatch(text):
        raise profile_refusal(PHONE, "Phone number is not valid.")
    return text


def _name(value: Any) -> str:
    if isinstance(value, bool | list | dict):
        raise profile_refusal(STRUCTURE, "Name must be text.")
    return str(value)[:CONTACT_CHARACTERS]


def _age(value: Any) -> Any:
    text = value if isinstance(value, str) else _digits(value)
    if not (text.isascii() and text.isdigit() and int(text[:4]) <= 150 and len(text) <= 3):
        raise profile_refusal(AGE, "Age is invalid.")
    return value if isinstance(value, str) else int(value)


def _digits(value: Any) -> str:
    """A number as it is typed; nothing of any other kind."""
    return as_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _one_of(code: int, why: str, *allowed: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or value.lower() not in allowed:
            raise profile_refusal(code, why)
        return value

    return check


CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "email": _email,
    "phone": _phone,
    "age": _age,
    "gender": _one_of(GENDER, "Gender needs to be M/F.", "m", "f"),
    "employed": _one_of(EMPLOYED, "Employed needs to be Y/N.", "y", "n"),
    "married": _one_of(MARRIED, "Married needs to be Y/N.", "y", "n"),
    "education": _one_of(EDUCATION, "Education needs to be School/College/Graduate..", "school", "college", "graduate"),
}


def read_token(record: Mapping[str, Any], device: str | None) -> Update:
    """A device's push token: kept on the person, not in the profile log. Raises Refusal."""
    data = record.get("tokenData")
    if device is None:
        raise Refusal(TOKEN_OBJECT_ID, "A token record needs the objectId of its device.")
    if not isinstance(data, Mapping) or not data:
        raise Refusal(TOKEN_DATA, "A token record needs tokenData with id and type.")
    token, kind, keys = data.get("id"), data.get("type"), data.get("keys")
    if not isinstance(token, str) or not 0 < len(token) <= TOKEN_CHARACTERS or not token.isprintable():
        raise Refusal(TOKEN_ID, "tokenData.id must be the push token as text.")
    if kind not in TOKEN_TYPES:
        raise Refusal(TOKEN_TYPE, f"tokenData.type must be one of: {', '.join(TOKEN_TYPES)}.")
    if any(device.startswith(prefixes) and kind in strange for prefixes, strange in STRANGE_TOKENS.items()):
        raise Refusal(TOKEN_OF_DEVICE, f"A token of the type {kind} cannot be of the device {device}.")
    if keys is not None and (kind != "chrome" or not isinstance(keys, Mapping)):
        raise Refusal(TOKEN_KEYS, "tokenData.keys belongs to the type chrome only, as an object with p256dh and auth.")
    return Update(properties={PUSH_TOKEN: f"{kind}:{token}"}, logged=False)
