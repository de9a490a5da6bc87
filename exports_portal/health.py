"""What machines ask: `/live` and `/ready`. Open without login; neither tells a secret."""

from collections.abc import Callable, Iterator
from functools import cache

import redis
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from events import positions
from exports_portal.common import heartbeat


@login_not_required
@require_safe
@never_cache
def live(_request: HttpRequest) -> HttpResponse:
    """200 as long as the web process answers."""
    return HttpResponse("live\n", content_type="text/plain")


@login_not_required
@require_safe
@never_cache
def ready(_request: HttpRequest) -> JsonResponse:
    """200 when everything that a delivery needs is there, else 503 with the reasons."""
    found = reasons()
    return JsonResponse({"ready": not found, "reasons": found}, status=503 if found else 200)


def check_database() -> Iterator[str]:
    """The database answers and has every migration."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        waiting = _waiting_migrations()
    except DatabaseError:
        yield "The database does not answer."
    else:
        if waiting:
            yield f"{waiting} migrations are not applied yet. Run manage.py migrate."


def _waiting_migrations() -> int:
    return len(_migrations() - MigrationRecorder(connection).applied_migrations().keys())


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Those of this code: reading them takes longer than all other checks together."""
    return frozenset(MigrationLoader(None).disk_migrations)


def check_workers() -> Iterator[str]:
    """Redis answers, the tick runs, and every queue has a worker."""
    try:
        missing = heartbeat.missing()
    except redis.RedisError:
        yield "Redis does not answer."
    else:
        yield from (f"No sign of life from {name}." for name in missing)


def check_log() -> Iterator[str]:
    """The log's positions belong to this cluster. What `check_database` says is not said twice."""
    try:
        positions.horizon()
    except positions.RestoredDump as error:
        yield str(error)
    except DatabaseError:
        return


CHECKS: tuple[Callable[[], Iterator[str]], ...] = (check_database, check_log, check_workers)


def reasons() -> list[str]:
    """Why /ready does not say yes, in people's words; empty when all is well."""
    return [reason for check in CHECKS for reason in check()]
