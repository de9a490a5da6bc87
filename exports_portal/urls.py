"""Every address of the portal. Each part brings its own list; the order decides, fixed addresses come first."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from events import api_calls
from exports_portal import health, metrics

handler500 = "exports_portal.common.limits.server_error"
urlpatterns = [
    path("live", health.live, name="live"),
    path("ready", health.ready, name="ready"),
    path("metrics", metrics.metrics, name="metrics"),
    path("favicon.ico", login_not_required(RedirectView.as_view(url=static("favicon.svg"))), name="favicon"),
    # The admin's own page counts no wrong passwords and writes no audit entry.
    path("admin/password_change/", RedirectView.as_view(pattern_name="password-change")),
    path("admin/", admin.site.urls),
    path("1/", include("events.api_urls")),  # CleverTap's API
    path("getSchema", api_calls.not_offered),  # of the same API
    path("api/", include("exports_portal.api_urls")),  # v1/, schema/, docs/
    path("", include("projects.urls")),
    path("", include("partners.urls")),
    path("", include("notifications.urls")),
    path("", include("sources.urls")),
    path("", include("exports.urls")),
    path("", include("events.urls")),
]
