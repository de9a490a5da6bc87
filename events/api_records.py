"""Events as CleverTap's read call gives them, put together as text: to parse JSON would take most of the time."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from django.db import connection

from events import json_text
from events.lifetimes import lifetimes
from events.profiles import PUSH_TOKEN
from events.reading import Found

# The device fields of CleverTap's records, and where uploads have them.
APP = {
    "os_version": ("CT OS Version", "ct_os_version"),
    "app_version": ("CT App Version", "ct_app_version"),
    "model": ("Model",),
    "make": ("Make",),  # this and the next as imports from CleverTap keep them
    "platform": ("Platform",),
}
# Most events have none of them, and are not worth parsing.
HAS_DEVICE = re.compile("|".join(f'"{key}"' for keys in APP.values() for key in keys)).search
# Of UTM Visited alone, which is uploaded with all of them side by side.
SESSION_EVENT = "UTM Visited"
SESSION = ("utm_source", "utm_medium", "utm_campaign", "session_source", "session_referrer")
PEOPLE = """
SELECT e.id, p.id, p.identity, p.name, p.email, p.phone, p.properties ->> %(token)s, (p.properties - %(token)s)::text
  FROM events_person e JOIN events_person p ON p.id = coalesce(e.merged_into_id, e.id)
 WHERE e.id = ANY(%(people)s)
"""


class Fields(NamedTuple):
    """What is wanted: device fields, custom properties and events so far of the person; session_props on their own."""

    app: bool
    profile: bool
    events: bool
    session: bool


def as_json(found: Sequence[Found], fields: Fields) -> bytes:
    """A JSON list of records: profile, ts, event_props."""
    people = _people({row.person_id for row in found}, fields)
    records = [
        f'{{"profile":{_profile(people, row, fields)},"ts":{row.local_time},{_properties(row, fields)}}}'
        for row in found
    ]
    return f"[{','.join(records)}]".encode()


def _properties(row: Found, fields: Fields) -> str:
    if not fields.session:
        return f'"event_props":{row.properties}'
    own = json.loads(row.properties)
    session = {key: own.pop(key) for key in SESSION if key in own}
    return f'"session_props":{json.dumps(session)},"event_props":{json.dumps(own)}'


def _profile(people: Mapping[int, "_Person"], row: Found, fields: Fields) -> str:
    """The ids are those that were captured; of somebody who was anonymous then, the identity that they have now."""
    person = people.get(row.person_id, NOBODY)
    own: dict[str, Any] = {"objectId": row.clevertap_id}
    if identity := row.identity or person.identity:
        own["identity"] = identity
    if fields.app and HAS_DEVICE(row.properties):
        own |= _device(json.loads(row.properties))
    return json_text.dump(own).decode()[:-1] + person.text + "}"


def _device(properties: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: next((properties[key] for key in keys if key in properties), None) for name, keys in APP.items()}
    return {name: value for name, value in found.items() if value is not None}


class _Person(NamedTuple):
    """text: what all records of the person share, each part after a comma."""

    identity: str | None
    text: str


NOBODY = _Person(None, "")  # deleted since


def _people(person_ids: Collection[int], fields: Fields) -> dict[int, _Person]:
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, {"people": list(person_ids), "token": PUSH_TOKEN})
        rows = cursor.fetchall()
    events = lifetimes({person_id for _, person_id, *_ in rows}) if fields.events else {}
    people = {}
    for captured_id, person_id, identity, name, email, phone, token, properties in rows:
        known = {"name": name, "email": email, "phone": phone, PUSH_TOKEN: token}
        text = "".join(f',"{key}":{orjson.dumps(value).decode()}' for key, value in known.items() if value is not None)
        text += f',"profileData":{properties}' if fields.profile else ""
        text += f',"events":{orjson.dumps(events.get(person_id, {})).decode()}' if fields.events else ""
        people[captured_id] = _Person(identity, text)
    return people
