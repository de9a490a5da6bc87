"""/api/: the REST API v1, its OpenAPI document and the page that shows it."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from events.catalogue_api import EventNameViewSet
from events.people_api import ProfileViewSet
from exports.api import ExportViewSet, RunViewSet
from exports_portal.common.api import no_such_address
from notifications.api import NotificationViewSet
from partners.api import IntegrationViewSet
from projects.api import AuditViewSet, CredentialViewSet, InvitationViewSet, MemberViewSet, ProjectSettingsView
from sources.api import SourceViewSet

router = SimpleRouter(use_regex_path=False)
router.register("integrations", IntegrationViewSet, basename="integration")
router.register("exports", ExportViewSet, basename="export")
router.register("runs", RunViewSet, basename="run")
router.register("sources", SourceViewSet, basename="source")
router.register("events", EventNameViewSet, basename="event")
router.register("credentials", CredentialViewSet, basename="credential")
router.register("members", MemberViewSet, basename="member")
router.register("invitations", InvitationViewSet, basename="invitation")
router.register("notifications", NotificationViewSet, basename="notification")
router.register("profiles", ProfileViewSet, basename="profile")
router.register("audit", AuditViewSet, basename="audit")

# Swagger UI brings a <style> element; its scripts are files of ours.
docs = csp_update({"style-src": [SELF, UNSAFE_INLINE]})(
    SpectacularSwaggerSplitView.as_view(url_name="api:schema", authentication_classes=[], permission_classes=[])
)

app_name = "api"
urlpatterns = [
    path("v1/", include(router.urls)),
    path("v1/project/", ProjectSettingsView.as_view(), name="project"),
    path("schema/", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
    path("docs/", docs, name="docs"),
    re_path(r"^(?P<path>.*)$", no_such_address),
]
