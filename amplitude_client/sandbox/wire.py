"""A small HTTP/1.1 server on asyncio: keep-alive, and able to hang up or to be slow on purpose.

http.server would be the sink that a benchmark measures; this one reads a body of 1 MB in about a millisecond.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

# A body beyond this is not even read: the answer is 413 and the connection ends.
READ_LIMIT = 64_000_000


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    started_at: float
    too_long: bool = False


@dataclass
class Reply:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, value: Any) -> "Reply":
        return cls(status, orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))


# None: hang up without a reply.
Handler = Callable[[Request], Awaitable[Reply | None]]


class BadRequestError(Exception):
    """Not HTTP that this server reads."""


class Listener:
    """One port. `close` ends its connections too."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; port 0 picks a free one. Returns the port."""
        # The buffer takes a whole body: with a small one the transport would be paused again and again.
        self._server = await asyncio.start_server(self._serve, host, port, limit=READ_LIMIT)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # start_server runs this in a task
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # the other side went away, or this server is being closed
        except BadRequestError as error:
            _write(writer, Reply.of(400, {"code": 400, "error": str(error)}), keep=False)
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its reply; False when the connection must end."""
        request = await _read_request(reader, writer)
        reply = await self._handler(request)
        if reply is None:
            return False
        keep = request.headers.get("connection", "").lower() != "close" and not request.too_long
        _write(writer, reply, keep=keep)
        await writer.drain()
        return keep


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    started_at = time.time()
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    try:
        method, target, _ = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        length = int(headers.get("content-length", "0"))
    except ValueError as error:
        raise BadRequestError("Malformed HTTP request") from error
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    parts = urlsplit(target)
    request = Request(method, parts.path, dict(parse_qsl(parts.query)), headers, b"", started_at)
    if length > READ_LIMIT:
        request.too_long = True
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        request.body = await _read_chunks(reader)
    elif length:
        request.body = await reader.readexactly(length)
    return request


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(chunks)


def _write(writer: asyncio.StreamWriter, reply: Reply, *, keep: bool) -> None:
    try:
        reason = HTTPStatus(reply.status).phrase
    except ValueError:
        reason = "Unknown"
    headers = {
        "Content-Type": reply.content_type,
        "Content-Length": str(len(reply.body)),
        "Connection": "keep-alive" if keep else "close",
        **reply.headers,
    }
    lines = [f"HTTP/1.1 {reply.status} {reason}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + reply.body)
