"""People as CleverTap's API gives them (clevertap-node, tests)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from events.lifetimes import Summary, lifetimes
from events.models import Identifier, Person
from events.people_rows import DEVICE
from events.profiles import PUSH_TOKEN


def records(people: Sequence[Person]) -> list[dict[str, Any]]:
    """One record for each, with all identifiers that lead to them, in three queries for all."""
    ids = [person.pk for person in people]
    leading: dict[int, list[Identifier]] = defaultdict(list)
    for identifier in Identifier.objects.filter(person__in=ids).order_by("pk"):
        leading[identifier.person_id].append(identifier)
    events = lifetimes(ids)
    return [_record(person, leading[person.pk], events.get(person.pk, {})) for person in people]


def _record(person: Person, identifiers: Iterable[Identifier], events: Summary) -> dict[str, Any]:
    """Keys without a value are left out."""
    devices = [one.value for one in identifiers if one.kind == DEVICE]
    names = [one.value for one in identifiers if one.kind != DEVICE]
    own = {
        "identity": person.identity,
        "name": person.name,
        "email": person.email,
        "phone": person.phone,
        "push_token": person.properties.get(PUSH_TOKEN),
        "all_identities": list(dict.fromkeys(names)) or None,
    }
    return {
        "objectId": person.clevertap_id,
        **{key: value for key, value in own.items() if value is not None},
        "profileData": {key: value for key, value in person.properties.items() if key != PUSH_TOKEN},
        "events": events,
        "platformInfo": [_device(device) for device in devices],
    }


def _device(clevertap_id: str) -> dict[str, str]:
    """The platform, where the id tells it: the prefixes of Android's and Apple's SDKs (CleverTap, set CleverTap ID)."""
    if clevertap_id.startswith(("__g", "__h")):
        return {"platform": "Android", "objectId": clevertap_id}
    if clevertap_id.startswith("-"):
        return {"platform": "iOS", "objectId": clevertap_id}
    return {"objectId": clevertap_id}
