"""A bare sink that only counts: the ceiling against which senders are measured.

`python -m benchmarks.sink` prints its port and answers every POST like Amplitude's batch endpoint.
"""

import socketserver
import sys
from typing import BinaryIO

ANSWER = b'{"code":200,"events_ingested":%d,"payload_size_bytes":%d,"server_upload_time":1396381378123}'


class Handler(socketserver.StreamRequestHandler):
    """HTTP/1.1 with keep-alive, as little of it as the senders need."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        while body := _read_request(self.rfile):
            answer = ANSWER % (body.count(b'"insert_id"'), len(body))
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
            )
            self.wfile.write(answer)


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
