"""Every address of the portal. Each part brings its own list; the order decides, fixed addresses come first."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from exports_portal import health


def _part(route: str, module: str) -> list[URLPattern | URLResolver]:
    return [path(route, include(module))] if find_spec(module) else []


urlpatterns = [
    path("live", health.live, name="live"),
    path("ready", health.ready, name="ready"),
    path("metrics", health.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    *_part("1/", "events.api_urls"),  # CleverTap's API
    *_part("api/", "exports_portal.api_urls"),  # v1/, schema/, docs/
    *_part("", "projects.urls"),
    *_part("", "partners.urls"),
    *_part("", "exports.urls"),
    *_part("", "events.urls"),
]
