"""Taking people apart again who became one by mistake, such as by a device that several used (CleverTap, demerge)."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import F

from events.lookups import led_to
from events.models import Identifier, Person
from events.people import lock
from events.people_rows import DEVICE, FBID, GPID, IDENTITY
from exports_portal.common import audit
from exports_portal.common.audit import Actor
from exports_portal.common.database import atomic
from projects.models import Project


@atomic()
def demerge(*, project: Project, identities: Collection[str], by: Actor, now: datetime) -> int:
    """Let go of whatever led to the people of these identities beside their own; returns how many there were.

    They keep their identity, their first device and their profile, also what others brought along: those who became
    them are people of their own again, with what led to them, and with an empty profile. Other devices, and an
    identity here that is a second one of somebody, lead to somebody new from now on. So do further FBIDs and GPIDs
    once somebody was among them who is shown under one: whose they were nobody knows. What was captured stays as it
    is. Unknown identities are passed over, so that a call may be repeated. Raises Shared and InDoubt.
    """
    lock(project.pk)
    people = led_to(project.pk, identities=identities)
    leading = Identifier.objects.filter(project=project, person__in=people)
    devices, named = leading.filter(kind=DEVICE), leading.filter(kind=IDENTITY, value__in=identities)
    for earlier in Person.objects.filter(project=project, merged_into__in=people).order_by("pk"):
        devices.filter(value=earlier.clevertap_id).update(person=earlier)
        leading.exclude(kind=DEVICE).filter(value=earlier.identity).update(person=earlier)
    social = leading.filter(kind__in=(FBID, GPID), person__earlier__identity__isnull=False)
    social.exclude(value=F("person__identity")).delete()
    Person.objects.filter(project=project, merged_into__in=people).update(merged_into=None)
    devices.exclude(value=F("person__clevertap_id")).delete()
    named.exclude(value=F("person__identity")).delete()
    for person in Person.objects.filter(pk__in=people):
        audit.record(action="profile.demerge", by=by, now=now, project_id=project.pk, target=person)
    return len(people)
