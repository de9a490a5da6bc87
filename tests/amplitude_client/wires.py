"""Servers that speak HTTP badly, on real sockets."""

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType

KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "fedcba9876543210fedcba9876543210"


class RawServer:
    """Answers each request with the same bytes and hangs up. `reads` False: answers before it has read anything.

    drips: seconds before each byte of the answer's body.
    """

    def __init__(self, reply: bytes, *, reads: bool = True, drips: float = 0) -> None:
        self._reply = reply
        self._reads = reads
        self._drips = drips
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.requests: list[bytes] = []
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "RawServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                if self._reads:
                    self.requests.append(_read_request(connection))
                else:
                    connection.recv(65_536)
                head, end, body = self._reply.partition(b"\r\n\r\n")
                connection.sendall(head + end)
                for piece in (bytes([byte]) for byte in body) if self._drips else [body]:
                    time.sleep(self._drips)
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65_536)
        if not chunk:
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
    )
    while len(body) < length:
        chunk = connection.recv(65_536)
        if not chunk:
            break
        body += chunk
    return head + b"\r\n\r\n" + body


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
