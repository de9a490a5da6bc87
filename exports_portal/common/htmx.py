"""What pages share about htmx: one URL, one context, and a template that depends on who asks."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django_htmx.http import HttpResponseClientRedirect


def render_for(
    request: HttpRequest, context: dict[str, Any], *, page: str, part: str, status: int = 200
) -> HttpResponse:
    """The whole page, or for htmx only the part of it that is swapped. Both get the same context.

    When somebody goes back to an address that a swap has left, htmx asks for all of it.
    """
    htmx: Any = request.htmx  # type: ignore[attr-defined]
    template = part if htmx and not htmx.history_restore_request else page
    response = render(request, template, context, status=status)
    response.headers["Vary"] = "HX-Request"
    response.headers["Cache-Control"] = "no-store"
    return response


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """Leave for another page; htmx is told to load it whole."""
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(url)
    return redirect(url)
