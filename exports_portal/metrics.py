"""`/metrics` in Prometheus' format. docs/prometheus-alerts.yml has rules for it, docs/operations.md explains them."""

import ipaddress
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exports.figures import Figures, figures
from exports_portal import health
from exports_portal.common import bells, heartbeat, timings


@login_not_required
@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus metrics, for loopback (not through a proxy) or with PORTAL_METRICS_TOKEN as bearer token."""
    if not may_read_metrics(request):
        return HttpResponse("Metrics are for loopback, or need the bearer token PORTAL_METRICS_TOKEN.\n", status=403)
    registry = CollectorRegistry(auto_describe=False)
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


class PortalCollector(Collector):
    """Reads database and Redis at the moment of the scrape, so every web process of every machine tells the same."""

    def collect(self) -> Iterator[Metric]:
        reasons = health.reasons()
        yield _gauge("portal_ready", "1 when /ready answers 200.", 0 if reasons else 1)
        with suppress(DatabaseError):  # portal_ready is 0
            yield from _of_the_database(figures(now=timezone.now()))
        with suppress(redis.RedisError):
            yield from _of_redis()


def _of_the_database(now: Figures) -> Iterator[Metric]:
    yield _by("portal_exports", "Exports by status.", "status", now.exports)
    yield _by("portal_runs", "Runs by status, purged ones included.", "status", now.totals.runs)
    records = now.totals.records
    yield _by("portal_records", "Records of all runs by what became of them; read is their sum.", "outcome", records)
    yield _gauge("portal_unconfirmed_records", "Records sent without an answer so far.", now.totals.unconfirmed)
    yield _gauge("portal_exports_failing", "Active exports whose last request failed.", now.failing)
    yield _gauge("portal_exports_needing_attention", "Those of them that somebody must mend.", now.attention)
    faults = "Integrations that nothing can be sent through until they are mended."
    yield _by("portal_setup_faults", faults, "partner", now.setup_faults)
    lag = "Age of the oldest captured record that a live export has not settled; 0 when it is up to date."
    family = GaugeMetricFamily("portal_live_lag_seconds", lag, labels=["project", "export"])
    for one in now.behind:
        family.add_metric([one.project, str(one.export)], one.seconds)
    yield family
    due = "Age of the oldest run that is due and has not started; those behind a setup fault do not count."
    yield _gauge("portal_oldest_due_run_seconds", due, now.due_seconds)
    horizon = "How long a transaction holds all reading up."
    yield _gauge("portal_horizon_age_seconds", horizon, now.horizon_seconds)


def _of_redis() -> Iterator[Metric]:
    silent = heartbeat.missing()
    alive = {part: int(part not in silent) for part in heartbeat.PARTS}
    yield _by("portal_alive", "1 when the part gave a sign of life in the last seconds.", "part", alive)
    yield _by("portal_queue_length", "Wake-up messages that wait for a worker.", "queue", bells.unheard())
    stored = timings.read()
    http = "Time to answer requests of uploads, pages and APIs."
    family = HistogramMetricFamily("portal_http_request_seconds", http, labels=["kind", "status"])
    for series, found in stored.items():
        if series.name == timings.HTTP:
            family.add_metric([series.label, series.status], _buckets(found), found.seconds)
    yield family
    partner = "Time that partners took to answer; status none: no answer came."
    family = HistogramMetricFamily("portal_partner_request_seconds", partner, labels=["status"])
    for series, found in stored.items():
        if series.name == timings.PARTNER:
            family.add_metric([series.status], _buckets(found), found.seconds)
    yield family


def _buckets(found: timings.Histogram) -> list[tuple[str, int]]:
    return list(zip([*map(str, timings.BUCKETS), "+Inf"], found.buckets, strict=True))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family
