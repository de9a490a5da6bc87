"""What machines ask: `/live`, `/ready` and `/metrics`. Open without login; none of them tells a secret."""

import ipaddress
import secrets
from collections.abc import Callable, Iterator

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from events import positions
from exports.lag import lags
from exports.models import Export, Run, Shard
from exports.models.counting import COUNTS
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
    reasons = [reason for check in CHECKS for reason in check()]
    return JsonResponse({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


@login_not_required
@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus metrics, for loopback (not through a proxy) or with PORTAL_METRICS_TOKEN as bearer token."""
    if not may_read_metrics(request):
        return HttpResponse("Metrics are for loopback, or need the bearer token PORTAL_METRICS_TOKEN.\n", status=403)
    registry = CollectorRegistry()
    registry.register(PortalCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def may_read_metrics(request: HttpRequest) -> bool:
    """Whether the request comes from this machine itself, or brings the token."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    token = settings.PORTAL_METRICS_TOKEN
    if token and secrets.compare_digest(given.encode(), token.encode()):
        return True
    return "X-Forwarded-For" not in request.headers and _is_loopback(request.META.get("REMOTE_ADDR", ""))


def _is_loopback(address: str) -> bool:
    """False also for no address at all, which a Unix socket behind a proxy gives."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


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
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


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


class PortalCollector(Collector):
    """Reads the numbers from the database at the moment of the scrape, so every web process tells the same."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        unreadable = list(check_database())
        reasons = [*unreadable, *check_log(), *check_workers()]
        yield GaugeMetricFamily("portal_ready", "1 when /ready answers 200.", value=0 if reasons else 1)
        if unreadable:
            return
        yield _by_status("portal_exports", "Exports by status.", Export)
        yield _by_status("portal_runs", "Runs by status.", Run)
        yield _records()
        yield _lag()
        writer = positions.oldest_writer()
        age = 0.0 if writer is None else writer.seconds
        yield GaugeMetricFamily("portal_horizon_age_seconds", "How long a transaction holds reading up.", value=age)


def _by_status(name: str, text: str, model: type[Export] | type[Run]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=["status"])
    for row in model._default_manager.values("status").annotate(number=Count("pk")).order_by():
        family.add_metric([row["status"]], row["number"])
    return family


def _lag() -> GaugeMetricFamily:
    text = "Age of the oldest captured record that a live export has not settled; 0 when it is up to date."
    family = GaugeMetricFamily("portal_live_lag_seconds", text, labels=["project", "export"])
    live = {export.pk: export for export in Export.objects.live().select_related("project")}
    for pk, lag in lags(live.values(), now=timezone.now()).items():
        family.add_metric([live[pk].project.account_id, str(pk)], lag.seconds)
    return family


def _records() -> GaugeMetricFamily:
    family = GaugeMetricFamily("portal_records", "Records of all runs by what became of them.", labels=["outcome"])
    sums = Shard._default_manager.aggregate(**{f"sum_{name}": Sum(name) for name in COUNTS})
    for name in COUNTS:
        family.add_metric([name], sums[f"sum_{name}"] or 0)
    return family
