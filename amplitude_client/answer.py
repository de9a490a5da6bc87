"""What came back from one request, before anybody has judged it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson


class NetworkFault(StrEnum):
    """Where on the way a request failed."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_READ = "timeout_read"
    CLOSED = "closed"
    OTHER = "other"


@dataclass(frozen=True)
class NetworkError:
    """`sent` is False when no byte of the body left this machine: then nothing can have been accepted."""

    kind: NetworkFault
    text: str
    sent: bool


@dataclass(frozen=True)
class Answer:
    """`status` is None when no answer came; with `error` set, status and body may be there but incomplete."""

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    elapsed_ms: int = 0
    error: NetworkError | None = None

    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object, or None when it is anything else (Amplitude's load balancer answers HTML)."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return value if isinstance(value, dict) else None
