"""Signing in."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import views
from django.http import HttpResponse

from exports_portal.common.login import UNDONE


class SignIn(views.LoginView):
    """Whoever was signed out in the middle of an action is told here, and once more on the page that follows."""

    redirect_authenticated_user = True

    def render_to_response(self, context: Any, **extra: Any) -> Any:
        response: Any = super().render_to_response(context, **extra)
        response.add_post_render_callback(self._keep_messages)
        return response

    def form_valid(self, form: Any) -> HttpResponse:
        if any(UNDONE in message.tags for message in messages.get_messages(self.request)):
            messages.warning(self.request, "Nothing was done, as you were signed out. Now you can do it again.")
        return super().form_valid(form)

    def _keep_messages(self, _response: HttpResponse) -> None:
        shown: Any = messages.get_messages(self.request)
        shown.used = False
