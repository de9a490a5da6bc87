"""The request that a line of the log belongs to: its id, and where it came from.

Messages to workers carry none: a bell that a click rings wakes workers for whatever is due, and a slice rings the next
one. So the id is kept where it belongs, on the run that the click created or set going again.
"""

import structlog
from django.http import HttpRequest
from django_structlog.middlewares import RequestMiddleware

from exports_portal.common.addresses import client_address


def request_id() -> str:
    """The id of the web request under way; in a worker that of the click behind its task. Empty when there is none."""
    return str(structlog.contextvars.get_contextvars().get("request_id") or "")


class RequestLogMiddleware(RequestMiddleware):
    """Binds the address that everything else goes by; the library's own believes any X-Forwarded-For."""

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        structlog.contextvars.bind_contextvars(ip=client_address(request))
