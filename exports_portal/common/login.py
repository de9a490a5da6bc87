"""Every page asks for a sign-in, unless it is marked as open. htmx gets an answer that it does not swap in."""

from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse


class LoginMiddleware(LoginRequiredMiddleware):
    """A part of a page that is asked for after the session has ended must not become a sign-in form."""

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> Any:
        if request.htmx:  # type: ignore[attr-defined]
            return HttpResponse("You are signed out.", status=401, content_type="text/plain")
        return super().handle_no_permission(request, view_func)
