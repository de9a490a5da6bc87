"""Writing the audit log. Each verb calls `record` inside its own transaction."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.http import HttpRequest

from exports_portal.common.addresses import client_address
from exports_portal.common.files import chunked, csv_chunks
from exports_portal.common.models import AuditEntry

COLUMNS = ("id", "at", "actor", "address", "action", "target", "before", "after")


@dataclass(frozen=True)
class Grant:
    """What a token gives to the program that carries it: a role in one project."""

    project_id: int
    role: str


@dataclass(frozen=True)
class Actor:
    """Who acts: a user (id and email), a program (`grant`), or a named part of the portal itself (neither).

    `address` is where the request came from, None for what the portal does by itself.
    """

    id: int | None
    name: str
    address: str | None = None
    grant: Grant | None = None


PORTAL = Actor(None, "Exports Portal")


def actor_of(request: HttpRequest) -> Actor:
    """The actor for the signed-in user of a request."""
    user: Any = request.user
    return Actor(user.pk, user.get_username(), client_address(request))


def record(
    *,
    action: str,
    by: Actor,
    now: datetime,
    project_id: int | None,
    target: Any,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Append one entry about `target`, a saved model instance. Values must be JSON and hold no secret."""
    AuditEntry.objects.create(
        at=now,
        project_id=project_id,
        actor_id=by.id,
        actor=by.name,
        address=by.address,
        action=action,
        target_type=target._meta.model_name,
        target_id=target.pk,
        before=before or {},
        after=after or {},
    )


@transaction.atomic
def purge(*, project_id: int, before: datetime, limit: int) -> int:
    """Delete the oldest entries of a project from before an instant, at most `limit`; returns how many.

    The only way out of the append-only log: the database lets them go where portal.retention is on in the transaction.
    """
    oldest = AuditEntry.objects.filter(project_id=project_id).order_by("id").values_list("pk", "at")[:limit]
    keys = [pk for pk, at in oldest if at < before]
    if keys:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL portal.retention = 'on'")
            cursor.execute("DELETE FROM common_auditentry WHERE id = ANY(%s)", [keys])
    return len(keys)


def as_csv(rows: Any) -> Iterator[str]:
    """Lines of a CSV file with a header, oldest first; safe to open in a spreadsheet."""
    return csv_chunks(COLUMNS, (map(_values, chunk) for chunk in chunked(rows)))


def _values(entry: AuditEntry) -> tuple[Any, ...]:
    who = (entry.pk, entry.at.isoformat(), entry.actor, entry.address or "", entry.action)
    before, after = (json.dumps(value, ensure_ascii=False) if value else "" for value in (entry.before, entry.after))
    return (*who, f"{entry.target_type} {entry.target_id}", before, after)
