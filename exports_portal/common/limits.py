"""Limits of all requests: how large a body may be, and how often somebody may try to sign in."""

from collections.abc import Callable

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views import defaults

from exports_portal.common import rate_limits
from exports_portal.common.addresses import client_network
from exports_portal.common.rate_limits import TooManyRequests

CAPTURE = "/1/"  # has a limit of its own, as bodies are records there (events.api_bodies)
REST = "/api/"
ADMIN = "/admin/"
SIGN_IN = ("/login/", "/admin/login/", "/password/reset/", "/invitation/")
MINUTE = 60


class LimitsMiddleware:
    """413 for a body that is too large before any of it is read, 429 with Retry-After for too many requests."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        most = settings.PORTAL_BODY_BYTES
        if not request.path.startswith(CAPTURE) and _length(request) > most:
            return refusal(request, 413, f"The body is larger than {most / 2**20:.1f} MB, which is the most.")
        if request.path.startswith(ADMIN):  # which looks up whatever an address says, and PostgreSQL takes no NUL
            request.META["QUERY_STRING"] = request.META.get("QUERY_STRING", "").replace("%00", "%3F")
        if request.method == "POST" and request.path.startswith(SIGN_IN):
            try:
                name = f"sign-in:{client_network(request)}"
                rate_limits.count(name, most=settings.PORTAL_SIGN_INS_PER_MINUTE, seconds=MINUTE)
            except TooManyRequests as error:
                return _too_many(request, error)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Views of all kinds may count requests; this answers for them."""
        return _too_many(request, error) if isinstance(error, TooManyRequests) else None


def _too_many(request: HttpRequest, error: TooManyRequests) -> HttpResponse:
    answer = refusal(request, 429, str(error))
    answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def refusal(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """In the shape of the face that was asked: CleverTap's API, REST, or a page."""
    if request.path.startswith(CAPTURE):
        content = orjson.dumps({"status": "fail", "error": sentence, "code": status})
    elif request.path.startswith(REST):
        content = orjson.dumps({"detail": sentence})
    else:
        return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")
    return HttpResponse(content, status=status, content_type="application/json")


def server_error(request: HttpRequest) -> HttpResponse:
    """What Django calls after an exception that nobody expected; it has been logged as request_failed."""
    if not request.path.startswith((CAPTURE, REST)):
        return defaults.server_error(request)
    return refusal(request, 500, "Something broke on our side. If it stays like this, tell who runs the portal when.")


def _length(request: HttpRequest) -> int:
    """As the server has read it; without one Django reads nothing."""
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdigit() else 0
