"""Where a request comes from."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The IP address of whoever asks; behind proxies of ours (PORTAL_PROXIES) what the outermost one of them saw.

    Anybody may send X-Forwarded-For: only its last entries, which our own proxies wrote, are believed.
    None when there is no address, as for a Unix socket.
    """
    written = request.headers.get("X-Forwarded-For", "").split(",")
    own = settings.PORTAL_PROXIES
    forwarded = written[-own] if 0 < own <= len(written) else ""
    return _address(forwarded) or _address(request.META.get("REMOTE_ADDR", ""))


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None
