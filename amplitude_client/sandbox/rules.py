"""What Amplitude checks in the events of a request.

Written from the documents on its own, not from `amplitude_client.payload`: a rule that is misread there must be
caught here.
"""

from collections.abc import Sequence
from typing import Any

MIN_ID_LENGTH = 5
MAX_DEPTH = 40

_STRINGS = """
    user_id device_id event_type app_version platform os_name os_version device_brand device_manufacturer device_model
    carrier country region city dma language productId revenueType currency ip idfa idfv adid android_id
    android_app_set_id user_agent partner_id insert_id version_name library
"""
_TYPES: dict[str, frozenset[type]] = {
    **dict.fromkeys(_STRINGS.split(), frozenset({str})),
    **dict.fromkeys(["time", "event_id", "session_id", "quantity"], frozenset({int})),
    **dict.fromkeys(["price", "revenue", "location_lat", "location_lng"], frozenset({int, float})),
    **dict.fromkeys(["event_properties", "user_properties", "groups", "group_properties", "plan"], frozenset({dict})),
    "$skip_user_properties_sync": frozenset({bool}),
}
_OBJECTS = ("event_properties", "user_properties", "groups", "group_properties")
_BLOCKED_WORDS = "anonymous nil none null n/a na undefined unknown {} lmy47d 0 -1 00000000-0000-0000-0000-000000000000"
_BLOCKED = frozenset((*_BLOCKED_WORDS.split(), "", '""', "''"))
_RESERVED = frozenset(
    {
        "[Amplitude] Start Session",
        "[Amplitude] End Session",
        "[Amplitude] Revenue",
        "[Amplitude] Revenue (Verified)",
        "[Amplitude] Revenue (Unverified)",
        "[Amplitude] Merged User",
    }
)
_OPERATION_NAMES = "$set $setOnce $add $append $prepend $unset $preInsert $postInsert $remove $clearAll"
_PROPERTY_OPERATIONS = frozenset(_OPERATION_NAMES.split())
Maps = dict[str, dict[str, list[int]]]


def check(events: Sequence[dict[str, Any]], *, min_id_length: int) -> Maps:
    """Map name → field → indexes of all events in error; {} when all are well."""
    maps: Maps = {}
    for index, event in enumerate(events):
        if _is_plain(event, min_id_length):
            continue
        for name, field in _faults(event, min_id_length):
            maps.setdefault(name, {}).setdefault(field, []).append(index)
    return maps


def first_only(maps: Maps) -> Maps:
    """As HTTP V2 documents its lists: the index of the first event in error."""
    return {name: {field: indexes[:1] for field, indexes in fields.items()} for name, fields in maps.items()}


def _is_plain(event: dict[str, Any], min_id_length: int) -> bool:
    """A quick look that most events pass; whatever it does not know, `_faults` looks at closely."""
    for key, value in event.items():
        types = _TYPES.get(key)
        if types is not None and type(value) not in types:
            return False
    name = event.get("event_type")
    if type(name) is not str or not name or name[0] == "$" or name in _RESERVED:
        return False
    user_id, device_id = event.get("user_id"), event.get("device_id")
    if user_id is None and device_id is None:
        return False
    if not (_is_plain_id(user_id, min_id_length) and _is_plain_id(device_id, min_id_length)):
        return False
    if not _PROPERTY_OPERATIONS.isdisjoint(event.get("user_properties") or ()):
        return False
    for key in _OBJECTS:  # loops, as generators cost three times as much here
        value = event.get(key)
        if value:
            for item in value.values():
                if type(item) is dict or type(item) is list:
                    return False
    return True


def _is_plain_id(value: str | None, min_length: int) -> bool:
    return value is None or (
        len(value) >= min_length and bool(value.strip(" 0-")) and value.strip().lower() not in _BLOCKED
    )


def _faults(event: dict[str, Any], min_id_length: int) -> list[tuple[str, str]]:
    present = {key: value for key, value in event.items() if value is not None}
    wrong = [key for key, value in present.items() if key in _TYPES and type(value) not in _TYPES[key]]
    faults = [("events_with_invalid_fields", key) for key in wrong]
    if "event_type" not in present:
        faults.append(("events_with_missing_fields", "event_type"))
    # Which name Amplitude gives to “neither user_id nor device_id” is not documented.
    if "user_id" not in present and "device_id" not in present:
        faults.append(("events_with_missing_fields", "user_id"))
    rest = {key: value for key, value in present.items() if key not in wrong}
    return faults + _id_faults(rest, min_id_length) + _value_faults(rest)


def _id_faults(event: dict[str, Any], min_id_length: int) -> list[tuple[str, str]]:
    faults = []
    for key in ("user_id", "device_id"):
        value = event.get(key)
        if value is None:
            continue
        bare = value.strip().lower()
        if bare in _BLOCKED or (key == "device_id" and set(bare) <= {"0", "-"}):
            faults.append(("events_with_invalid_fields", key))
        elif len(value) < min_id_length:
            faults.append(("events_with_invalid_id_lengths", key))
    return faults


def _value_faults(event: dict[str, Any]) -> list[tuple[str, str]]:
    faults = []
    name = event.get("event_type")
    if name is not None and (not name or name in _RESERVED):
        faults.append(("events_with_invalid_fields", "event_type"))
    faults += [
        ("events_with_invalid_fields", key) for key in _OBJECTS if key in event and _depth(event[key]) > MAX_DEPTH
    ]
    properties = event.get("user_properties", {})
    if _are_wrong_operations(properties) if name == "$identify" else not _PROPERTY_OPERATIONS.isdisjoint(properties):
        faults.append(("events_with_invalid_fields", "user_properties"))
    return faults


def _are_wrong_operations(properties: dict[str, Any]) -> bool:
    """Operations beside bare keys, unknown ones, or ones that do not hold what they must.

    Identify refuses that; that the batch endpoint does so too, and that other events may not have operations at all
    ("only when event_type is $identify"), is our strict reading.
    """
    operations = {key: value for key, value in properties.items() if key.startswith("$")}
    if operations and len(operations) < len(properties):
        return True
    return any(not _is_operation(key, value) for key, value in operations.items())


def _is_operation(key: str, value: Any) -> bool:
    if key == "$clearAll":
        return True
    if key not in _PROPERTY_OPERATIONS or type(value) is not dict:
        return False
    return key != "$add" or all(type(number) in (int, float) for number in value.values())


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        level = [item for item in level if type(item) in (dict, list)]
        deepest += bool(level)
        level = [child for item in level for child in (item.values() if type(item) is dict else item)]
    return deepest
