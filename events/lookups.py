"""Whom somebody means by an identity or a device: the rules of capture (events.people), for reading and for verbs."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from django.db import transaction

from events.people import Claim, People
from events.people_rows import Known
from exports_portal.common.errors import Refused

NEVER = datetime.min.replace(tzinfo=UTC)


class Shared(Refused):
    """An email address or phone number was named that several people have."""


@transaction.atomic
def find(
    project_id: int, *, identities: Collection[str] = (), devices: Collection[str] = ()
) -> list[tuple[str, Sequence[Known]]]:
    """Each of these, and whom it leads to.

    They are several where an email address or phone number is that of several people: capture takes the first one.
    """
    claims = [Claim(identity, None, NEVER) for identity in identities]
    people = People(project_id, [*claims, *(Claim(None, device, NEVER) for device in devices)])
    named = [(identity, people.named(identity)) for identity in identities]
    return [*named, *((device, people.on_device(device)) for device in devices)]


def led_to(project_id: int, *, identities: Collection[str] = (), devices: Collection[str] = ()) -> list[int]:
    """The people whom these lead to, each once.

    Raises Shared rather than take the first of several: a call that is repeated would take the others in turn.
    """
    found = find(project_id, identities=identities, devices=devices)
    for value, known in found:
        if len(known) > 1:
            raise Shared(f"Several people share {value}. Name whom you mean by an identity of their own or a device.")
    return sorted({person.id for _, known in found for person in known})
