"""Writing the audit log. Each verb calls `record` inside its own transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
