"""Where a request comes from, and where people find the portal."""

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


def client_network(request: HttpRequest) -> str | None:
    """What attempts are counted by: the address, and of IPv6 the network of 64 bits: who has one has all."""
    text = client_address(request)
    address = ipaddress.ip_address(text) if text else None
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.IPv6Address(int(address) >> 64 << 64))
    return text


def site_of(request: HttpRequest) -> str:
    """Scheme and host of links that leave the portal: PORTAL_URL.

    Without it the name that was asked, which anybody may choose among PORTAL_ALLOWED_HOSTS.
    """
    return settings.PORTAL_URL or request.build_absolute_uri("/")[:-1]


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None
