"""Deleting people on request (privacy), with all that is stored of them.

The people go at once: nothing leads to them any more, and whoever comes back is somebody new. Their events and profile
updates follow in short transactions, as a long one would hold up the horizon. An upload under way may have known
them, so the logs are looked through once more when none of that time can be left. What exports keep of records goes
with `exports.erasure`. A tombstone of each row stays, without anything personal: runs that read it must still add up.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import connection, transaction
from django.db.models import Q

from events import positions, refused_uploads, rollup
from events.lookups import led_to
from events.models import Erased, Erasure, Event, Identifier, Person, ProfileChange
from events.people import lane_of, lock
from exports_portal.common import audit, bells
from exports_portal.common.audit import Actor
from exports_portal.common.database import atomic
from projects.models import Project

log = structlog.get_logger("events")

AT_ONCE = 5_000  # rows in one transaction
SECOND_PASS = timedelta(minutes=2)  # no upload and no delivery of a batch lasts as long
ERASE: dict[type[Event] | type[ProfileChange], str] = {
    Event: """
WITH gone AS (DELETE FROM events_event WHERE id = ANY(%(ids)s) RETURNING *)
INSERT INTO events_erased (erasure_id, log, project_id, record_id, tx_id, name_id, occurred_at, received_at, lane)
SELECT o.erasure, 'events', project_id, id, tx_id, name_id, occurred_at, received_at, lane
  FROM gone JOIN unnest(%(people)s::bigint[], %(erasures)s::bigint[]) AS o (person, erasure) ON o.person = person_id
""",
    ProfileChange: """
WITH gone AS (DELETE FROM events_profilechange WHERE id = ANY(%(ids)s) RETURNING *)
INSERT INTO events_erased (erasure_id, log, project_id, record_id, tx_id, received_at, lane)
SELECT o.erasure, 'changes', project_id, id, tx_id, received_at, lane
  FROM gone JOIN unnest(%(people)s::bigint[], %(erasures)s::bigint[]) AS o (person, erasure) ON o.person = person_id
""",
}


@atomic()
def delete_people(
    *, project: Project, identities: Collection[str] = (), devices: Collection[str] = (), by: Actor, now: datetime
) -> int:
    """Delete those whom these lead to, and the anonymous profiles that became them; returns how many there were.

    What leads to nobody is passed over, so that a call may be repeated. Raises Shared, RestoredDump and InDoubt.
    """
    lock(project.pk)
    meant = led_to(project.pk, identities=identities, devices=devices)
    people = list(Person.objects.filter(Q(pk__in=meant) | Q(merged_into__in=meant)).order_by("pk"))
    ids = [person.pk for person in people]
    leading = Identifier.objects.filter(person__in=ids).values_list("value", flat=True)
    own = {value for one in people for value in (one.clevertap_id, one.identity, one.email, one.phone) if value}
    refused_uploads.forget(project, {*leading, *own, *identities, *devices})
    if not people:
        return 0
    rollup.hold_people(project.pk)
    erasure = Erasure.objects.create(project=project, people=ids, tx_id=positions.horizon(), requested_at=now)
    Erased.objects.bulk_create(_tombstone(erasure, person) for person in people)
    Identifier.objects.filter(person__in=ids).delete()
    Person.objects.filter(merged_into__in=ids).update(merged_into=None)
    Person.objects.filter(pk__in=ids).delete()
    audit.record(
        action="profiles.delete", by=by, now=now, project_id=project.pk, target=erasure, after={"people": len(ids)}
    )
    transaction.on_commit(partial(bells.ring_erase))
    return len(meant)


def _tombstone(erasure: Erasure, person: Person) -> Erased:
    return Erased(
        erasure=erasure,
        project_id=erasure.project_id,
        log=Erased.Log.PEOPLE,
        record_id=person.pk,
        tx_id=person.tx_id,
        received_at=person.created_at,
        lane=lane_of(person.pk),
    )


def unfinished() -> list[Erasure]:
    """Those that somebody has to go on with, oldest first."""
    return list(Erasure.objects.filter(finished_at=None).order_by("pk"))


def erase_rows(erasures: Sequence[Erasure], *, is_last: bool) -> int:
    """Delete all events and profile updates of their people, the last time those captured since; returns how many.

    They are of one project, whose logs have no index by person: read once for all of them. Harmless when it is
    repeated, or cut short and begun again.
    """
    owner = {person: erasure.pk for erasure in erasures for person in erasure.people}
    project_id, owners = erasures[0].project_id, {"people": list(owner), "erasures": list(owner.values())}
    count = 0
    for model, statement in ERASE.items():
        rows = model._default_manager.filter(project=project_id, person__in=owners["people"])
        if is_last:
            rows = rows.filter(tx_id__gte=min(erasure.tx_id for erasure in erasures))
        ids = list(rows.order_by().values_list("pk", flat=True))
        for first in range(0, len(ids), AT_ONCE):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement, {"ids": ids[first : first + AT_ONCE], **owners})
        count += len(ids)
    log.info("erasure.rows", project=project_id, erasures=len(erasures), rows=count, last=is_last)
    return count
