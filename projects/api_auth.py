"""`Authorization: Bearer <token>`: the token names the project."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from exports_portal.common import rate_limits
from exports_portal.common.addresses import client_address
from exports_portal.common.audit import Actor, Grant
from exports_portal.common.rate_limits import TooManyRequests
from projects.credentials import credential_for_token
from projects.models import Credential, Project


class TokenHolder:
    """The program behind a token, in the place of a user."""

    pk = None
    is_authenticated = True
    is_active = True
    is_anonymous = is_staff = is_superuser = False

    def __init__(self, credential: Credential, request: HttpRequest) -> None:
        self.project: Project = credential.project
        name = " ".join(f"API token {credential.label} ••••{credential.last_four}".split())
        self.actor = Actor(None, name, client_address(request), Grant(credential.project_id, credential.role))

    def __str__(self) -> str:
        return self.actor.name

    def get_username(self) -> str:
        return self.actor.name


class BearerAuthentication(BaseAuthentication):
    """Sets request.user to a TokenHolder, request.auth to the Credential and request.project to its Project."""

    def authenticate(self, request: Request) -> tuple[Any, Credential] | None:
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        credential = credential_for_token(token.strip())
        if credential is None:
            raise AuthenticationFailed("The token is unknown or has been revoked. Create one under Settings > Project.")
        request._request.project = credential.project  # type: ignore[attr-defined]
        return TokenHolder(credential, request._request), credential

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ProjectThrottle(BaseThrottle):
    """So many requests a second for the project that the token names; the answer has Retry-After."""

    retry_after: int | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        project = getattr(request._request, "project", None)
        if project is None:
            return True
        try:
            rate_limits.count(f"rest:{project.pk}", most=settings.PORTAL_REST_PER_SECOND)
        except TooManyRequests as error:
            self.retry_after = error.retry_after
        return self.retry_after is None

    def wait(self) -> float | None:
        return self.retry_after


class BearerScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document describes it."""

    target_class = "projects.api_auth.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
