"""Addresses that take a POST only, and the page for whoever comes to one in another way."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST


def post_only(view: Callable[..., Any]) -> Callable[..., Any]:
    """An action of the page one step above its address: there a sign-in leads that comes in between."""
    action: Any = require_POST(view)
    action.post_only = True
    return action


class NotAllowedMiddleware:
    """A refused method has a page like every other refusal."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            response.content = render_to_string("405.html", request=request)
        return response
