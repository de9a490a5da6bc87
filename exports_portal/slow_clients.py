"""Clients that send a body slowly, or stop in the middle of it, must not keep all threads of a web process.

A thread waits as long as a request comes in. Its head must not pause for longer than HEAD_SECONDS, and be there within
twice as long. Its body must not pause for longer than PORTAL_REQUEST_SECONDS. That is for up to PATIENT threads of a
process: for others the whole body must be there within HURRY_SECONDS. So some threads are soon free again whatever
clients do. The rest of a body that a call did not want, as it refused it, has as long.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from exports_portal.runtime import request_seconds

HEAD_SECONDS = 5
WATCH_SECONDS = 0.5
PATIENT = 8
HURRY_SECONDS = 2.0
UNWANTED_BYTES = 2**20  # of a body that a call did not want: more is not read only to answer politely

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]


class Worker(ThreadWorker):
    """Hangs up at once: gunicorn's own lingers for two seconds, and accepts nobody meanwhile."""

    def init_process(self) -> None:
        threading.Thread(target=heads.watch, daemon=True).start()
        super().init_process()

    def handle(self, conn: TConn) -> Any:
        with heads.awaited(conn.sock):
            stays = super().handle(conn)
        if stays is False:
            _cut(conn.sock)
        return stays


def head_seconds() -> int:
    """For how long a head may pause."""
    return min(HEAD_SECONDS, request_seconds())


class Heads:
    """Connections that threads of this process wait for the head of a request on: a line now and then is too little."""

    def __init__(self) -> None:
        self._until: dict[socket.socket, float] = {}
        self._seconds = 2 * head_seconds()

    @contextmanager
    def awaited(self, connection: socket.socket) -> Iterator[None]:
        self._until[connection] = monotonic() + self._seconds
        try:
            yield
        finally:
            self.arrived(connection)

    def arrived(self, connection: socket.socket | None) -> None:
        self._until.pop(connection, None)  # type: ignore[arg-type]

    def watch(self) -> None:
        while True:
            sleep(WATCH_SECONDS)
            now = monotonic()
            for connection in [one for one, until in self._until.copy().items() if until < now]:
                _cut(connection)


heads = Heads()


def wait_at_most(connection: socket.socket, *, receiving: int, sending: int | None = None) -> None:
    """How many seconds a thread waits for the next piece."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", receiving, 0))
    if sending is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", sending, 0))


class SlowClients:
    """Around a WSGI application. gunicorn gives each request its socket."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._waiting = 0
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        heads.arrived(environ.get("gunicorn.socket"))
        length = None if "HTTP_TRANSFER_ENCODING" in environ else int(environ.get("CONTENT_LENGTH") or 0)
        if length == 0 or "gunicorn.socket" not in environ:
            return self._application(environ, start_response)
        body = environ["wsgi.input"] = _Body(self, environ, length)
        return _Answer(self._application(environ, start_response), body)

    @contextmanager
    def wait(self, connection: socket.socket, *, hurry: bool) -> Iterator[None]:
        """While a thread waits for a client. Raises TimeoutError when the client was too slow."""
        with self._lock:
            self._waiting += 1
            hurry = hurry or self._waiting > PATIENT
        try:
            if hurry:
                with _limit(connection):
                    yield
            else:
                wait_at_most(connection, receiving=request_seconds())
                yield
        finally:
            with self._lock:
                self._waiting -= 1


@contextmanager
def _limit(connection: socket.socket) -> Iterator[None]:
    late = threading.Event()

    def end() -> None:
        late.set()
        _cut(connection)

    timer = threading.Timer(HURRY_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError("The body came too slowly.")


def _cut(connection: socket.socket) -> None:
    """Whoever reads finds the end at once: the thread here, and the server, which would linger before it hangs up."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


class _Body:
    """The input of a request. `left`: bytes that have not been read, None when only the end will tell."""

    def __init__(self, clients: SlowClients, environ: Environ, left: int | None) -> None:
        self._clients = clients
        self._input = environ["wsgi.input"]
        self._connection: socket.socket = environ["gunicorn.socket"]
        self._left = left
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        return self._read(self._input.read, size)

    def readline(self, size: int = -1) -> bytes:
        return self._read(self._input.readline, size)

    def _read(self, read: Callable[[int], bytes], size: int, *, hurry: bool = False) -> bytes:
        try:
            with self._clients.wait(self._connection, hurry=hurry):
                data = read(size)
        except Exception:
            self._is_over = True
            _cut(self._connection)
            raise
        if self._left is not None:
            self._left -= len(data)
        self._is_over = self._left == 0 or (not data and size != 0)
        return data

    def finish(self) -> None:
        """Read what nobody wanted, so that the client reads the answer; or let it go."""
        if not self._is_over:
            with suppress(Exception):
                self._read(self._input.read, UNWANTED_BYTES, hurry=True)
            if not self._is_over:
                _cut(self._connection)


class _Answer:
    """An answer whose request is finished after it."""

    def __init__(self, answer: Iterable[bytes], body: _Body) -> None:
        self._answer = answer
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        close = getattr(self._answer, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._body.finish()
