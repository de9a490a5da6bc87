"""A bare sink that only counts, and refuses events of the name Poison: the ceiling against which senders are measured.

`python -m benchmarks.sink` prints its port and answers every POST like Amplitude's batch endpoint.
"""

import socketserver
import sys
from typing import BinaryIO

POISON = b'"Poison"'
ANSWER = b'{"code":200,"events_ingested":%d,"payload_size_bytes":%d,"server_upload_time":1396381378123}'


class Handler(socketserver.StreamRequestHandler):
    """HTTP/1.1 with keep-alive, as little of it as the senders need."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        while body := _read_request(self.rfile):
            status, answer = _refusal(body) if POISON in body else _acceptance(body)
            self.wfile.write(
                b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(answer))
            )
            self.wfile.write(answer)


def _acceptance(body: bytes) -> tuple[bytes, bytes]:
    return b"200 OK", ANSWER % (body.count(b'"insert_id"'), len(body))


def _refusal(body: bytes) -> tuple[bytes, bytes]:
    """Names every bad event, as Amplitude's batch endpoint does."""
    events = body.split(b'{"event_type":')[1:]
    bad = b",".join(b"%d" % index for index, event in enumerate(events) if event.startswith(POISON))
    error = b'{"code":400,"error":"Invalid field values on some events","events_with_invalid_fields":{"time":[%b]}}'
    return b"400 Bad Request", error % bad


def _read_request(stream: BinaryIO) -> bytes:
    """The body of the next request; b"" at the end of the connection."""
    if not stream.readline():
        return b""
    length, chunked = 0, False
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        chunked = chunked or name.lower() == b"transfer-encoding"
    return _read_chunks(stream) if chunked else stream.read(length)


def _read_chunks(stream: BinaryIO) -> bytes:
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def main() -> None:
    with Server(("127.0.0.1", 0), Handler) as server:
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
