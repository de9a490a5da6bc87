"""Test connection: does this key work in this region? Records nothing."""

import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from requests.utils import get_environ_proxies

from amplitude_client.client import AmplitudeClient, ca_bundle, is_loopback
from amplitude_client.decision import Decision, Outcome, decide
from amplitude_client.residency import Residency, base_url

StepOutcome = Literal["passed", "failed", "skipped", "unknown"]

ADDRESS = "Address"
SECURE_CONNECTION = "Secure connection"
API_KEY = "API key"
OTHER_RESIDENCY = "Other data residency"
# A person waits for the answer.
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0


@dataclass(frozen=True)
class Step:
    name: str
    outcome: StepOutcome
    message: str


def is_ok(steps: Sequence[Step]) -> bool | None:
    """Whether the key works in the chosen region; None when the answers do not tell."""
    outcome = next((step.outcome for step in steps if step.name == API_KEY), "unknown")
    return {"passed": True, "failed": False}.get(outcome)


def test_connection(
    api_key: str,
    residency: Residency,
    overrides: Mapping[Residency, str] | None = None,  # noqa: PT028  # not a test function, see below
) -> list[Step]:
    """Look the address up, connect, and ask with an empty list of events; ask the other region if the key is unknown.

    This is the only place where both regions hear of a key, and only a person's click may lead here.
    """
    url = base_url(residency, overrides)
    steps = _way(url)
    if any(step.outcome == "failed" for step in steps):
        return [*steps, Step(API_KEY, "skipped", "Not asked, as the address cannot be reached.")]
    verdict = _ask(api_key, url)
    steps.append(_key_step(verdict, residency))
    if verdict.key_refused:
        steps.append(_other_region(api_key, residency.other, overrides))
    return steps


test_connection.__test__ = False  # type: ignore[attr-defined]  # not a test function, whatever pytest thinks of its name


def _key_step(verdict: Decision, residency: Residency) -> Step:
    if verdict.outcome is Outcome.SETUP_FAULT:
        return Step(API_KEY, "failed", verdict.message)
    if verdict.outcome is Outcome.ACCEPTED and verdict.status == 200:
        return Step(API_KEY, "passed", f"Amplitude accepts the API key in the data residency {residency.label}.")
    return Step(API_KEY, "unknown", verdict.message)


def _other_region(api_key: str, other: Residency, overrides: Mapping[Residency, str] | None) -> Step:
    verdict = _ask(api_key, base_url(other, overrides))
    if verdict.key_refused:
        message = f"{other.label} does not accept the API key either. Copy it again from Amplitude's project settings."
        return Step(OTHER_RESIDENCY, "failed", message)
    if _key_step(verdict, other).outcome == "passed":
        message = f"The API key works with {other.label}: choose {other.label} as the data residency."
        return Step(OTHER_RESIDENCY, "passed", message)
    return Step(OTHER_RESIDENCY, "unknown", f"{other.label} gave no clear answer.")


def _ask(api_key: str, url: str) -> Decision:
    client = AmplitudeClient(api_key, url, connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
    try:
        return decide(client.check_key(), batch_size=0, ids=(), api_key=api_key)
    finally:
        client.close()


def _way(url: str) -> list[Step]:
    """The steps to the host, up to the one that fails."""
    if not is_loopback(url) and get_environ_proxies(url):
        reason = "A proxy is set up for this server; it does this step."
        return [Step(ADDRESS, "skipped", reason), Step(SECURE_CONNECTION, "skipped", reason)]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # ValueError: a port beyond 65535, a label too long
        message = f"The address {url} could not be found. Check the network and the name server."
        return [Step(ADDRESS, "failed", message)]
    return [Step(ADDRESS, "passed", f"{host} was found."), _secure(parts, host, port)]


def _context() -> ssl.SSLContext:
    """Trusts whom delivery trusts, or the test would tell another story than the exports."""
    bundle = ca_bundle()
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)


def _secure(parts: SplitResult, host: str, port: int) -> Step:
    if parts.scheme != "https":
        return Step(SECURE_CONNECTION, "skipped", "The address is a plain http one; nothing to secure.")
    try:
        with (
            socket.create_connection((host, port), timeout=CONNECT_SECONDS) as plain,
            _context().wrap_socket(plain, server_hostname=host),
        ):
            return Step(SECURE_CONNECTION, "passed", f"{host} proved who it is.")
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "unknown"
        message = f"{host} could not prove who it is ({reason}). Check the clock and the certificates of this server."
    except OSError:
        message = f"{host} did not take the connection. Check the network and the firewall."
    return Step(SECURE_CONNECTION, "failed", message)
