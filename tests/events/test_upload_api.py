"""POST /1/upload over HTTP: the answers that CleverTap's clients know, and every kind of bad input."""

import gzip
import io
import json
import os
import time
from contextlib import ExitStack
from typing import Any

import orjson
import pytest
import redis
import requests
from django.db import connection
from django.test import Client
from django.utils import timezone

from events.models import Event, LogBase, Person
from exports_portal.common.slots import LIFE_SECONDS, slot
from projects.actions import create_project
from projects.models import Project
from tests.events.capture import URL, event, profile, properties, send, stored
from tests.factories import TESTS

pytestmark = pytest.mark.django_db(transaction=True)


def test_all_good(project: Project, headers: dict[str, str]) -> None:
    answer = send(headers, {"d": [event(), profile(Name="Asha")]})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    assert answer.json() == {"status": "success", "processed": 2, "unprocessed": []}
    assert len(stored(project)) == 1


def test_some_bad(project: Project, headers: dict[str, str]) -> None:
    bad = profile("ravi", Email="nowhere")
    answer = send(headers, {"d": [event(), bad]})
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "partial",
        "processed": 1,
        "unprocessed": [
            {
                "status": "fail",
                "code": 515,
                "error": "Profile data is incorrect. Email is not valid.Skipped record number : 2",
                "record": bad,
            }
        ],
    }
    assert len(stored(project)) == 1


@pytest.mark.parametrize("device", ["__g\ud800", "__g\0", "__g" + "x" * 100])
def test_a_strange_device_of_a_token_sinks_no_other(project: Project, headers: dict[str, str], device: str) -> None:
    token = {"type": "token", "objectId": device, "tokenData": {"id": "x", "type": "apns"}}
    answer = send(headers, {"d": [event(), token]})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["processed"]) == ("partial", 1)
    [refused] = answer.json()["unprocessed"]
    assert (refused["code"], refused["record"]) == (526, token)
    assert len(stored(project)) == 1


def test_all_bad(headers: dict[str, str]) -> None:
    answer = send(headers, {"d": [event(name=""), event(ts=1_795_000_000_000)]})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["processed"]) == ("fail", 0)
    assert [one["code"] for one in answer.json()["unprocessed"]] == [509, 525]
    assert not Person.objects.exists()


def test_the_documented_example(project: Project, headers: dict[str, str]) -> None:
    charged = {
        "identity": "jack@gmail.com",
        "ts": 1468208340,
        "type": "event",
        "evtName": "Charged",
        "evtData": {
            "Amount": 300,
            "Currency": "USD",
            "Payment mode": "Credit Card",
            "Delivery By": "$D_1468322268",
            "Items": [{"Category": "books", "Book name": "The millionaire next door", "Quantity": 1}],
        },
    }
    viewed = {
        "FBID": "34322423",
        "ts": 1468308340,
        "type": "event",
        "evtName": "Product viewed",
        "evtData": {"Product name": "Casio Chronograph Watch", "Category": "Mens Watch", "Price": 59.99},
    }
    assert send(headers, {"d": [viewed, charged]}).json()["status"] == "success"
    expected = {**charged["evtData"], "Delivery By": "2016-07-12T11:17:48Z"}
    assert properties(project) == [viewed["evtData"], expected]
    assert [row.identity for row in stored(project)] == ["34322423", "jack@gmail.com"]


def test_nothing_to_store_is_no_fault(headers: dict[str, str]) -> None:
    assert send(headers, {"d": []}).json() == {"status": "success", "processed": 0, "unprocessed": []}


@pytest.mark.parametrize("yes", ["1", "true", "True"])
def test_a_dry_run_answers_the_same_and_stores_nothing(headers: dict[str, str], yes: str) -> None:
    answer = send(headers, {"d": [event(), event(name="")]}, url=f"{URL}?dryRun={yes}")
    assert (answer.json()["status"], answer.json()["processed"]) == ("partial", 1)
    assert not Event.objects.exists()
    assert send(headers, {"d": [event()]}, url=f"{URL}?dryRun=0").json()["processed"] == 1
    assert Event.objects.count() == 1


def test_reserved_names_are_taken_unless_the_portal_is_to_be_as_strict_as_the_original(
    project: Project, headers: dict[str, str], settings: Any
) -> None:
    records = {"d": [event(name="Notification Sent"), event(name="App Launched"), event(name="Mine")]}
    assert send(headers, records).json()["processed"] == 3
    settings.PORTAL_REFUSE_RESERVED_NAMES = True
    answer = send(headers, records).json()
    assert [one["code"] for one in answer["unprocessed"]] == [513, 513]
    assert answer["unprocessed"][0]["error"] == (
        "Event Name is incorrect. ErrorCode: 513 - It is a restricted system event.Skipped record number : 1"
    )
    assert len(stored(project)) == 4


def test_wrong_credentials_are_401_and_store_nothing(project: Project, headers: dict[str, str]) -> None:
    other = create_project(name="Other", timezone="UTC", by=TESTS, now=timezone.now())
    for wrong, error in (
        ({"X-CleverTap-Passcode": "guess"}, "Invalid Credentials"),
        ({"X-CleverTap-Passcode": other.passcode}, "Invalid Credentials"),
        ({"X-CleverTap-Passcode": ""}, "Invalid Credentials"),
        ({"X-CleverTap-Account-Id": "NOT-ONE"}, "Account ID is not valid"),
        ({"X-CleverTap-Account-Id": ""}, "Account ID is not valid"),
    ):
        answer = send({**headers, **wrong}, {"d": [event()]})
        assert answer.status_code == 401
        assert answer.json() == {"status": "fail", "error": error, "code": 401}
    assert Client().post(URL).status_code == 401
    assert not Event.objects.exists()


def test_a_project_has_15_uploads_at_once_then_429(project: Project, headers: dict[str, str]) -> None:
    with ExitStack() as others:
        for _ in range(15):
            others.enter_context(slot(f"upload:{project.account_id}", 15))
        answer = send(headers, {"d": [event()]})
        assert answer.status_code == 429
        assert answer.json() == {"status": "fail", "error": "Too many concurrent requests", "code": 429}
        other = create_project(name="Other", timezone="UTC", by=TESTS, now=timezone.now())
        theirs = {"X-CleverTap-Account-Id": other.project.account_id, "X-CleverTap-Passcode": other.passcode}
        assert send(theirs, {"d": [event()]}).status_code == 200
    assert not stored(project)
    assert [send(headers, {"d": [event()]}).status_code for _ in range(20)] == [200] * 20


def test_the_slot_of_a_process_that_died_is_free_again(project: Project, headers: dict[str, str]) -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as connection:
        long_ago = int(time.time()) - 2 * LIFE_SECONDS
        dead = {f"dead-{number}": long_ago for number in range(15)}
        connection.zadd(f"portal:slots:upload:{project.account_id}", dead)
    assert send(headers, {"d": [event()]}).status_code == 200


def test_browsers_may_call_from_any_page(headers: dict[str, str]) -> None:
    asked = Client().options(URL, headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"})
    assert (asked.status_code, asked.headers["Access-Control-Allow-Methods"]) == (204, "POST, OPTIONS")
    assert "X-CleverTap-Passcode" in asked.headers["Access-Control-Allow-Headers"]
    for answer in (asked, send(headers, {"d": []}), send({}, {"d": []})):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_get_is_refused_without_a_redirect_to_the_login() -> None:
    answer = Client().get(URL)
    assert answer.status_code == 405
    assert answer.json() == {"status": "fail", "error": "Use POST.", "code": 405}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "not valid JSON"),
        (b'{"d": [', "not valid JSON"),
        (b'{"d": [{"type": "event",}]}', "trailing comma is not allowed: line 1"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"d": ["\xff"]}', "not valid UTF-8"),
        (b"[]", 'whose "d" is a list'),
        (b"{}", 'whose "d" is a list'),
        (b'{"d": {"type": "event"}}', 'whose "d" is a list'),
        (b"null", 'whose "d" is a list'),
    ],
)
def test_a_broken_body_is_a_clear_400_and_stores_nothing(headers: dict[str, str], body: bytes, error: str) -> None:
    answer = send(headers, body)
    assert answer.status_code == 400
    assert (answer.json()["status"], answer.json()["code"]) == ("fail", 400)
    assert error in answer.json()["error"]


def test_more_than_1000_records_are_refused_as_a_whole(headers: dict[str, str]) -> None:
    answer = send(headers, {"d": [event()] * 1001})
    assert answer.status_code == 400
    assert "1001 records; 1000 is the most" in answer.json()["error"]
    assert not Event.objects.exists()
    assert send(headers, {"d": [event()] * 1000}).json()["processed"] == 1000


def test_a_body_that_is_too_large_is_413(headers: dict[str, str], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
    answer = send(headers, b" " * (2**20 + 1))
    assert answer.status_code == 413
    assert "larger than 1 MB" in answer.json()["error"]


def send_in_chunks(headers: dict[str, str], body: bytes) -> Any:
    """As gunicorn hands on a request with Transfer-Encoding: chunked: no length, and an input that ends by itself."""
    environ: dict[str, Any] = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    return Client().generic("POST", URL, headers={**headers, "Transfer-Encoding": "chunked"}, **environ)


def test_a_body_in_chunks_is_read(project: Project, headers: dict[str, str]) -> None:
    answer = send_in_chunks(headers, json.dumps({"d": [event()]}).encode())
    assert answer.json() == {"status": "success", "processed": 1, "unprocessed": []}
    assert len(stored(project)) == 1


def test_a_body_in_chunks_that_is_too_large_is_413(headers: dict[str, str], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
    assert send_in_chunks(headers, b" " * (2**20 + 1)).status_code == 413
    assert not Event.objects.exists()


def test_a_compression_that_is_not_read_here_is_named(headers: dict[str, str]) -> None:
    answer = send(headers, {"d": [event()]}, **{"Content-Encoding": "br"})
    assert answer.status_code == 415
    assert answer.json()["error"] == "The Content-Encoding “br” is not read here. Send gzip or plain JSON."


def test_gzip_bodies_are_read(project: Project, headers: dict[str, str]) -> None:
    body = gzip.compress(json.dumps({"d": [event()]}).encode())
    assert send(headers, body, **{"Content-Encoding": "gzip"}).json()["processed"] == 1
    assert len(stored(project)) == 1


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b'{"d": []}', 400, "it is not"),
        (gzip.compress(b'{"d": []}', mtime=0)[:-9], 400, "cut off"),
        (gzip.compress(b" " * (2**20 + 1)), 413, "larger than 1 MB"),
    ],
)
def test_bad_gzip_bodies_are_named(
    headers: dict[str, str], settings: Any, body: bytes, status: int, error: str
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
    answer = send(headers, body, **{"Content-Encoding": "gzip"})
    assert answer.status_code == status
    assert error in answer.json()["error"]


def test_odd_text_sinks_neither_its_record_nor_the_others(project: Project, headers: dict[str, str]) -> None:
    body = b'{"d": [%s, %s]}' % (
        b'{"type":"event","identity":"asha","evtName":"A","evtData":{"a":"\\ud83d","b":"x\ty","c":"\\u0000","d":NaN}}',
        orjson.dumps(event(name="B", data={"emoji": "👩‍👩‍👧"})),
    )
    assert send(headers, body).json()["processed"] == 2
    assert properties(project) == [{"a": "?", "b": "x-y", "c": "-", "d": None}, {"emoji": "👩‍👩‍👧"}]


@pytest.mark.parametrize(
    ("odd", "echo"),
    [
        (b'{"type":"x","a":"\\ud83d"}', {"type": "x", "a": "\ud83d"}),
        (b'{"type":"x","a":NaN}', {"type": "x", "a": None}),
        (b'{"type":"event","identity":"a","evtName":"A","evtData":{"a":' + b"[" * 500 + b"]" * 500 + b"}}", ...),
    ],
)
def test_odd_records_are_refused_one_by_one_and_echoed(headers: dict[str, str], odd: bytes, echo: Any) -> None:
    answer = send(headers, b'{"d": [%s, %s]}' % (odd, orjson.dumps(event())))
    assert answer.json()["processed"] == 1
    assert echo in (..., answer.json()["unprocessed"][0]["record"])


def test_after_a_restored_dump_the_answer_says_how_to_mend_it(headers: dict[str, str]) -> None:
    LogBase.objects.update(system_identifier=7)
    answer = send(headers, {"d": [event()]})
    assert answer.status_code == 503
    assert "manage.py rebase_positions" in answer.json()["error"]


BREAK_OFF = """
CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER break_off AFTER INSERT ON events_event {when} FOR EACH ROW EXECUTE FUNCTION break_off()
"""


@pytest.mark.parametrize(
    ("when", "told"),
    [("NOT DEFERRABLE", "nothing was changed"), ("DEFERRABLE INITIALLY DEFERRED", "may have been stored")],
)
def test_who_may_send_twice_is_told_so(headers: dict[str, str], when: str, told: str) -> None:
    """The connection dies while the records are written, or while they are committed: nobody can know then."""
    with connection.cursor() as cursor:
        cursor.execute(BREAK_OFF.format(when=when))
    try:
        answer = send(headers, {"d": [event()]})
    finally:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION break_off CASCADE")
    assert answer.status_code == 503
    assert told in answer.json()["error"]


@pytest.mark.parametrize("key", ["identity", "FBID", "GPID"])
def test_an_identity_of_too_many_bytes_sinks_no_other_record(
    project: Project, headers: dict[str, str], key: str
) -> None:
    # Three bytes each, in an order that does not compress.
    chinese = "".join(chr(0x4E00 + place * place * 7_919 % 20_011) for place in range(1_000))
    longest, too_long = chinese[:833], chinese
    answer = send(headers, {"d": [{**event(None), key: name} for name in (longest, too_long, "asha")]}).json()
    assert answer["status"] == "partial"
    assert [(one["code"], one["record"][key]) for one in answer["unprocessed"]] == [(523, too_long)]
    assert [row.identity for row in stored(project)] == [longest, "asha"]


def test_a_bad_key_of_the_connection_is_no_server_error(headers: dict[str, str]) -> None:
    assert send({**headers, "X-CleverTap-Account-Id": "a\x00b"}, {"d": []}).status_code == 401


def test_uploads_are_seen_by_other_connections_once_they_are_answered(
    live_server: Any, project: Project, headers: dict[str, str]
) -> None:
    answer = requests.post(f"{live_server.url}{URL}", json={"d": [event(), event("ravi")]}, headers=headers, timeout=30)
    assert answer.json() == {"status": "success", "processed": 2, "unprocessed": []}
    assert [row.identity for row in stored(project)] == ["asha", "ravi"]
