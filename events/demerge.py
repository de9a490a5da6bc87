"""Taking people apart again who became one by mistake, such as by a device that several used (CleverTap, demerge)."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import F

from events.models import Identifier, Person
from events.people import DEVICE, IDENTITY, lock
from exports_portal.common import audit
from exports_portal.common.audit import Actor
from projects.models import Project


@transaction.atomic
def demerge(*, project: Project, identities: Collection[str], by: Actor, now: datetime) -> int:
    """Let go of whatever led to the people of these identities beside their own; returns how many there were.

    They keep their identity, their first device and their profile. Anonymous profiles that became them are their own
    again; other devices, and an identity here that is a second one of somebody, lead to somebody new from now on. What
    was captured stays as it is. Unknown identities are passed over, so that a call may be repeated.
    """
    lock(project.pk)
    named = Identifier.objects.filter(project=project, kind=IDENTITY, value__in=identities)
    people = sorted(set(named.values_list("person_id", flat=True)))
    devices = Identifier.objects.filter(project=project, kind=DEVICE, person__in=people)
    for earlier in Person.objects.filter(project=project, merged_into__in=people).order_by("pk"):
        devices.filter(value=earlier.clevertap_id).update(person=earlier)
    Person.objects.filter(project=project, merged_into__in=people).update(merged_into=None)
    devices.exclude(value=F("person__clevertap_id")).delete()
    named.exclude(value=F("person__identity")).delete()
    for person in Person.objects.filter(pk__in=people):
        audit.record(action="profile.demerge", by=by, now=now, project_id=project.pk, target=person)
    return len(people)
