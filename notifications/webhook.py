"""One signed call to an address that a project's admin typed: it must not reach what only this network can.

The host is looked up once, and the connection goes to the very address that was checked: a name that points elsewhere a
moment later (DNS rebinding) gains nothing. Redirects are not followed, no proxy of the environment is used, and no more
than the beginning of an answer is read. Addresses that are not public are refused, but for PORTAL_WEBHOOK_NETWORKS.
"""

import hashlib
import hmac
import ipaddress
import os
import socket
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

import urllib3
from django.conf import settings
from requests.utils import DEFAULT_CA_BUNDLE_PATH

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SIGNATURE = "X-Portal-Signature"
TIMEOUT = urllib3.Timeout(connect=5.0, read=10.0)
READ_BYTES = 4_096
MOST_ADDRESSES = 3
NOT_CONNECTED = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
URL_CHARACTERS = 2_000
INSIDE = (
    "{host} is an address inside a network. Only public ones are called; whoever runs the portal can allow "
    "networks with PORTAL_WEBHOOK_NETWORKS."
)
# What the standard library takes for public, and is not: IANA's protocol assignments (a cloud's metadata among them),
# the service at a public address that only machines at Azure reach, and site-local IPv6.
CLOSED: tuple[Network, ...] = (
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("168.63.129.16/32"),
    ipaddress.IPv6Network("fec0::/10"),
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class CallFailed(Exception):
    """The call did not get through. The message is for people, and names no more than the host."""


def sign(body: bytes, *, secret: str, at: int) -> str:
    """The header's value `t=<unix seconds>,v1=<hex>`: HMAC-SHA256 of "<t>.<body>". Receivers refuse an old t."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def fault_of(url: str) -> str:
    """What is wrong with an address by its looks; empty when nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "This is not an address."
    if any(char.isspace() or not char.isprintable() for char in url) or len(url) > URL_CHARACTERS:
        return (
            "The address must not contain spaces or control characters, nor be longer than "
            f"{URL_CHARACTERS:,} characters."
        )
    if parts.scheme not in ("https", "http") or not host:
        return "Enter an address that begins with https://."
    if not host.isascii():  # certificates and the header Host have no other form
        return "Write the host’s name in its ASCII form (xn--…)."
    if parts.username or parts.password:
        return "Leave user and password out of the address: calls are signed."
    if _is_closed(host):
        return INSIDE.format(host=host)
    if parts.scheme == "http" and not settings.PORTAL_WEBHOOK_NETWORKS:
        return "Use https://: what is sent names exports and their errors."
    return ""


def call(url: str, body: bytes, *, secret: str, at: int) -> None:
    """POST `body` once. Raises CallFailed unless it is answered with 2xx."""
    parts = urlsplit(url)
    addresses = _checked_addresses(parts)
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": "Exports-Portal",
        SIGNATURE: sign(body, secret=secret, at=at),
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    status = 0
    for address in addresses:
        try:
            with _pool(parts, address) as pool:
                response = pool.urlopen(
                    "POST", path, body=body, headers=headers, redirect=False, retries=False, preload_content=False
                )
                response.read(READ_BYTES)
                response.close()
        except NOT_CONNECTED as error:  # nothing was sent: the next address may be alive
            if address == addresses[-1]:
                raise CallFailed(f"{parts.hostname} could not be reached ({type(error).__name__}).") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise CallFailed(f"{parts.hostname} did not answer ({type(error).__name__}).") from None
        else:
            status = response.status
            break
    if not 200 <= status < 300:
        more = " Redirects are not followed: enter the final address." if 300 <= status < 400 else ""
        raise CallFailed(f"{parts.hostname} answered with {status}.{more}")


def _pool(parts: SplitResult, address: Address) -> urllib3.HTTPConnectionPool:
    """Connects to `address`; with TLS the certificate must still be that of the host's name."""
    if parts.scheme == "http":
        return urllib3.HTTPConnectionPool(str(address), parts.port or 80, timeout=TIMEOUT)
    return urllib3.HTTPSConnectionPool(
        str(address),
        parts.port or 443,
        timeout=TIMEOUT,
        server_hostname=parts.hostname,
        assert_hostname=parts.hostname,
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH,
    )


def _checked_addresses(parts: SplitResult) -> list[Address]:
    """The addresses to try in turn. All that the name stands for must be allowed: which one answers is chance."""
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CallFailed(f"The name {host} is not known.") from None
    addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    if not addresses or not all(map(may_be_called, addresses)):
        raise CallFailed(INSIDE.format(host=host))
    return list(dict.fromkeys(addresses))[:MOST_ADDRESSES]


def _is_closed(host: str) -> bool:
    """Whether a host is written as an address that may not be called. What a name stands for shows with each call."""
    text = "127.0.0.1" if host == "localhost" else host.partition("%")[0]
    try:
        return not may_be_called(ipaddress.ip_address(text))
    except ValueError:
        return False


def may_be_called(address: Address, *, allowed: Sequence[Network] | None = None) -> bool:
    """Whether an address is public, or in a network that was allowed."""
    address = _inner(address)
    networks = settings.PORTAL_WEBHOOK_NETWORKS if allowed is None else allowed
    if _is_in(address, networks):
        return True
    return not _is_in(address, CLOSED) and address.is_global and not address.is_multicast and not address.is_reserved


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, when it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
