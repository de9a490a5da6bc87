"""Every page asks for a sign-in, unless it is marked as open. htmx gets an answer that it does not swap in."""

from typing import Any
from urllib.parse import urljoin

from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

UNDONE = "undone"  # a tag of the message


class LoginMiddleware(LoginRequiredMiddleware):
    """A part of a page that is asked for after the session has ended must not become a sign-in form.

    An action is not repeated after the sign-in, which leads to the page of its button (methods.post_only).
    """

    def process_response(self, _request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """What somebody sees after a sign-in is kept by no proxy in between."""
        if not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True)
        return response

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> Any:
        if request.htmx:  # type: ignore[attr-defined]
            return HttpResponse("You are signed out.", status=401, content_type="text/plain")
        if request.method == "POST":
            messages.warning(request, "Nothing was done, as you were signed out. Sign in, then do it again.", UNDONE)
        if not getattr(view_func, "post_only", False):
            return super().handle_no_permission(request, view_func)
        return redirect_to_login(urljoin(request.get_full_path(), f"../?{request.GET.urlencode()}".rstrip("?")))
