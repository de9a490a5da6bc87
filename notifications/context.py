"""The bell in the bar of every page: how many notifications of the project somebody has not seen."""

from functools import cached_property
from typing import Any

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from notifications.models import Notification, Seen

MOST = 99


class Bell:
    """Read by templates only: one query, and none where no bar is shown."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def count(self) -> int:
        """Up to MOST + 1."""
        project = getattr(self._request, "project", None)
        if project is None or not self._request.user.is_authenticated:
            return 0
        seen = Seen.objects.filter(project=OuterRef("project"), user=self._request.user.pk).values("last_id")
        unseen = Notification.objects.filter(project=project, pk__gt=Coalesce(Subquery(seen), 0))
        return unseen.order_by()[: MOST + 1].count()

    @property
    def label(self) -> str:
        """ "12", "99+"; empty when there is nothing new."""
        return f"{MOST}+" if self.count > MOST else str(self.count or "")


def bell(request: HttpRequest) -> dict[str, Any]:
    """For every template of a request."""
    return {"bell": Bell(request)}
