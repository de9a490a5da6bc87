"""What the network does: never an exception, and always known whether anything can have been accepted."""

import gzip
import socket

import orjson
import pytest

from amplitude_client import NetworkFault, Outcome, decide, frame_bytes
from tests.amplitude_client.wires import KEY, RawServer, http

CLOSED_PORT = "http://127.0.0.1:1"


def decided(answer):
    return decide(answer, batch_size=1, ids=[("user-1", None)], api_key=KEY)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (CLOSED_PORT, NetworkFault.CONNECT),
        ("http://nowhere.invalid", NetworkFault.DNS),
        ("http://127.0.0.1:99999", NetworkFault.OTHER),
        ("http://" + "a" * 70 + ".com", NetworkFault.OTHER),
    ],
)
def test_what_never_left_cannot_have_been_accepted(make_client, url, kind):
    answer = make_client(base_url=url).send([b"{}"])
    assert (answer.status, answer.error.kind, answer.error.sent) == (None, kind, False)
    assert (decided(answer).outcome, decided(answer).maybe_accepted) == (Outcome.BACK_OFF, False)


def test_a_failed_handshake_is_a_fault_of_the_secure_connection(make_client):
    with RawServer(b"not TLS at all", reads=False) as server:
        answer = make_client(base_url=server.url.replace("http:", "https:")).send([b"{}"])
    assert (answer.error.kind, answer.error.sent) == (NetworkFault.TLS, False)


def test_a_server_that_accepts_no_connection_in_time(make_client):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with socket.create_connection(full.getsockname()):  # fills the queue
            answer = make_client(base_url=url, connect_timeout=0.3, read_timeout=0.3).send([b"{}"])
    assert answer.error.kind in (NetworkFault.TIMEOUT_CONNECT, NetworkFault.TIMEOUT_READ)


def test_no_answer_in_time_may_have_been_accepted(sandbox, make_client, make_event):
    sandbox.faults({"kind": "delay", "seconds": 30})
    answer = make_client(read_timeout=0.2).send([orjson.dumps(make_event())])
    assert answer.error.kind is NetworkFault.TIMEOUT_READ
    assert decided(answer).maybe_accepted


@pytest.mark.parametrize("accept", [False, True])
def test_a_connection_closed_without_reply_may_have_been_accepted(sandbox, make_client, make_event, accept):
    sandbox.faults({"kind": "close", "accept": accept})
    answer = make_client().send([orjson.dumps(make_event())])
    assert answer.error.kind is NetworkFault.CLOSED
    assert decided(answer).maybe_accepted
    assert len(sandbox.events()) == int(accept)


def test_an_answer_that_breaks_off_is_an_unknown_outcome(make_client):
    whole = http("200 OK", b'{"code":200,"events_ingested":1}')
    with RawServer(whole[:-10]) as server:
        answer = make_client(base_url=server.url).send([b"{}"])
    assert (answer.status, answer.error.kind) == (200, NetworkFault.CLOSED)
    assert (decided(answer).outcome, decided(answer).maybe_accepted) == (Outcome.BACK_OFF, True)


ANSWER = b'{"code":200,"events_ingested":1,"payload_size_bytes":50}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
CHUNKED += b"%x\r\n%b\r\n0\r\n\r\n" % (len(ANSWER), ANSWER)
GZIPPED = http("200 OK", gzip.compress(ANSWER), "Content-Encoding: gzip")


@pytest.mark.parametrize("answer", [http("200 OK", ANSWER), CHUNKED, GZIPPED], ids=["plain", "chunked", "gzip"])
def test_an_answer_that_drips_is_given_up_in_time(make_client, answer):
    with RawServer(answer) as server:
        assert make_client(base_url=server.url).send([b"{}"]).json() == orjson.loads(ANSWER)
    with RawServer(answer, drips=0.05) as server:
        dripped = make_client(base_url=server.url, read_timeout=0.3).send([b"{}"])
    assert (dripped.status, dripped.error.kind) == (200, NetworkFault.TIMEOUT_READ)
    assert dripped.elapsed_ms < 1_500
    assert decided(dripped).maybe_accepted


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", b" " * 9_000_000),
        http("200 OK", gzip.compress(b" " * 9_000_000), "Content-Encoding: gzip"),
        http("200 OK", ANSWER, "Content-Encoding: gzip"),
    ],
    ids=["long", "long once unpacked", "not packed at all"],
)
def test_an_answer_that_nobody_could_read_is_an_unknown_outcome(make_client, answer):
    with RawServer(answer) as server:
        answer = make_client(base_url=server.url).send([b"{}"])
    assert (answer.status, answer.error.kind) == (200, NetworkFault.OTHER)
    assert len(answer.body) < 8_100_000
    assert decided(answer).maybe_accepted


def test_garbage_in_place_of_http_is_an_unknown_outcome(make_client):
    with RawServer(b"\x00\x01\x02 garbage\r\n\r\n") as server:
        assert decided(make_client(base_url=server.url).send([b"{}"])).maybe_accepted


def test_the_client_recovers_after_a_broken_connection(sandbox, make_client, make_event):
    client = make_client()
    sandbox.faults({"kind": "close", "count": 1})
    assert client.send([orjson.dumps(make_event())]).error is not None
    assert client.send([orjson.dumps(make_event())]).status == 200


def test_gzip_begins_at_its_size(sandbox, make_client, make_event):
    with RawServer(http("200 OK")) as server:
        client = make_client(base_url=server.url, gzip_from=1_000)
        client.send([b"{}"])
        client.send([b"{}"] * 1_000)
        small, large = server.requests
    assert b"gzip" not in small.partition(b"\r\n\r\n")[0].partition(b"Content-Encoding")[2]
    head, _, body = large.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert orjson.loads(gzip.decompress(body)) == {"api_key": KEY, "events": [{}] * 1_000}


def test_the_sandbox_takes_a_compressed_batch_of_full_size(sandbox, make_client, make_event):
    events = [make_event() for _ in range(2_000)]
    answer = make_client(gzip_from=0).send([orjson.dumps(event) for event in events])
    assert answer.status == 200
    assert [record["event"] for record in sandbox.events()] == events


def test_the_frame_is_counted_to_the_byte(make_client):
    with RawServer(http("200 OK")) as server:
        client = make_client(base_url=server.url)
        client.send([b"{}", b"{}"])
        body = server.requests[0].partition(b"\r\n\r\n")[2]
    assert len(body) == frame_bytes(KEY) + len(b"{}") * 2 + 1
    assert client.limits == (2_000, 19_900_000, frame_bytes(KEY))


def test_a_batch_at_the_byte_limit_passes_and_one_over_it_does_not(make_client, make_event):
    client = make_client()
    event = orjson.dumps(make_event())
    room = client.limits.body_bytes - client.limits.frame_bytes - len(event)
    padding = orjson.dumps(make_event(event_properties={"text": "x"}))
    filler = padding.replace(b'"x"', b'"' + b"x" * (room - len(padding) - 1) + b'"')
    assert client.send([event, filler]).status == 200
    assert client.send([event, filler.replace(b'"xx', b'"' + b"x" * 200_000)]).status == 413


def test_the_key_is_in_no_repr_and_in_no_error(make_client):
    client = make_client(base_url=CLOSED_PORT)
    assert KEY not in repr(client)
    assert KEY not in repr(client.send([b"{}"]))
