"""Writing the audit log. Each verb calls `record` inside its own transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from exports_portal.common.models import AuditEntry


@dataclass(frozen=True)
class Actor:
    """Who acts: a user (id and email) or a named part of the portal (id None)."""

    id: int | None
    name: str


PORTAL = Actor(None, "Exports Portal")


def actor_of(user: Any) -> Actor:
    """The actor for a Django user."""
    return Actor(user.pk, user.get_username())


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
