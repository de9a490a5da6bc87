"""Every answer that Amplitude documents, over a real socket: what the client then does. One rule a test."""

import pytest

from amplitude_client import Outcome, decide
from tests.amplitude_client.wires import KEY, RawServer, http


def test_200_is_accepted_event_by_event(sandbox, send, make_event):
    events = [make_event() for _ in range(3)]
    decision = send(events)
    assert (decision.outcome, decision.accepted, decision.status) == (Outcome.ACCEPTED, 3, 200)
    assert [record["event"] for record in sandbox.events(api_key=KEY)] == events


def test_200_that_counts_other_than_sent_says_so(send, make_event):
    body = b'{"code":200,"events_ingested":48,"payload_size_bytes":50,"server_upload_time":1396381378123}'
    with RawServer(http("200 OK", body)) as server:
        decision = send([make_event() for _ in range(50)], base_url=server.url)
    assert (decision.outcome, decision.accepted) == (Outcome.ACCEPTED, 48)
    assert "48" in decision.message
    assert "50" in decision.message


@pytest.mark.parametrize("body", [b"<html>It works!</html>", b"", b"[]", b"null", b'{"code":400}', b'{"code":true}'])
def test_200_that_is_not_the_documented_json_is_an_unknown_outcome(send, make_event, body):
    with RawServer(http("200 OK", body)) as server:
        decision = send([make_event()], base_url=server.url)
    assert (decision.outcome, decision.maybe_accepted) == (Outcome.BACK_OFF, True)


def test_400_with_index_maps_rejects_all_that_are_named_for_good(sandbox, send, make_event):
    events = [make_event() for _ in range(6)]
    del events[1]["event_type"]
    events[3]["time"] = "2024-01-01T00:00:00Z"
    events[5]["time"] = 1.5
    decision = send(events)
    assert decision.outcome is Outcome.PARTIAL
    assert {index: (problem.code, problem.field) for index, problem in decision.rejected.items()} == {
        1: ("missing_field", "event_type"),
        3: ("invalid_field", "time"),
        5: ("invalid_field", "time"),
    }
    assert not decision.maybe_more
    assert sandbox.events() == []


def test_400_with_undocumented_id_lengths_rejects_even_when_the_other_id_is_fine(send, make_event):
    decision = send([make_event(), make_event(user_id="abc")])
    assert decision.outcome is Outcome.PARTIAL
    assert [(index, problem.code, problem.field) for index, problem in decision.rejected.items()] == [
        (1, "invalid_id_length", "user_id")
    ]


def test_400_that_names_the_first_index_only_expects_more(sandbox, send, make_event):
    sandbox.faults({"kind": "first_index_only"})
    decision = send([make_event(), make_event(time=1.5), make_event(time=1.5)])
    assert (list(decision.rejected), decision.maybe_more) == ([1], True)


@pytest.mark.parametrize("html", [False, True])
def test_400_without_indexes_is_split_until_one_event_is_left(sandbox, send, make_event, html):
    sandbox.faults({"kind": "bad_request", "html": html})
    decision = send([make_event(), make_event()])
    assert decision.outcome is Outcome.SPLIT
    assert decision.problem.code == "bad_request"
    assert ("400 Bad Request" if html else "Invalid event JSON") in decision.problem.message


def test_400_of_a_missing_request_field_is_split(send, make_event):
    body = b'{"code":400,"error":"Request missing required field","missing_field":"events"}'
    with RawServer(http("400 Bad Request", body)) as server:
        decision = send([make_event(), make_event()], base_url=server.url)
    assert (decision.outcome, decision.problem.field) == (Outcome.SPLIT, "events")


def test_400_of_broken_json_is_split(make_client):
    answer = make_client().send([b'{"event_type":'])
    decision = decide(answer, batch_size=1, ids=[(None, None)], api_key=KEY)
    assert (decision.outcome, decision.status) == (Outcome.SPLIT, 400)
    assert "Invalid JSON request body" in decision.message


def test_400_invalid_key_is_a_setup_fault_and_the_key_is_masked(send, make_event):
    key = "bad3456789abcdef0123456789abcdef"
    decision = send([make_event()], api_key=key)
    assert decision.outcome is Outcome.SETUP_FAULT
    assert "API key" in decision.message
    assert key not in repr(decision)


def test_400_of_a_wrong_path_is_a_setup_fault(send, make_event, sandbox):
    decision = send([make_event()], base_url=sandbox.eu_url + "/elsewhere")
    assert (decision.outcome, decision.status) == (Outcome.SETUP_FAULT, 400)


def test_400_silenced_rejects_the_silenced_and_holds_the_throttled(sandbox, send, make_event):
    events = [make_event(), make_event(device_id="silent-device"), make_event(user_id="busy-user")]
    sandbox.faults(
        {"kind": "silence", "devices": ["silent-device"]},
        {"kind": "throttle", "users": ["busy-user"]},
    )
    decision = send(events)
    assert (decision.outcome, decision.status) == (Outcome.PARTIAL, 400)
    assert {index: problem.code for index, problem in decision.rejected.items()} == {1: "silenced"}
    assert decision.held == {2: 15.0}


def test_403_is_split_and_asks_for_a_probe(sandbox, send, make_event):
    sandbox.faults({"kind": "forbidden", "contains": "<script>"})
    decision = send([make_event(), make_event(event_properties={"q": "<script>"})])
    assert (decision.outcome, decision.problem.code) == (Outcome.SPLIT, "forbidden")
    assert send([make_event()]).outcome is Outcome.ACCEPTED


def test_403_to_an_empty_list_is_a_wall(sandbox, send):
    sandbox.faults({"kind": "forbidden"})
    decision = send([])
    assert decision.outcome is Outcome.SETUP_FAULT
    assert "without events" in decision.message


def test_413_is_halved_and_a_single_event_is_refused(sandbox, send, make_event):
    sandbox.faults({"kind": "too_large", "over_events": 1})
    decision = send([make_event(), make_event()])
    assert (decision.outcome, decision.problem.code) == (Outcome.TOO_LARGE, "too_large")
    assert send([make_event()]).outcome is Outcome.ACCEPTED


def test_429_holds_all_events_of_a_named_id_though_the_list_stops_early(sandbox, send, make_event):
    sandbox.faults({"kind": "throttle", "devices": ["busy-device"], "first_only": True})
    events = [make_event(), make_event(device_id="busy-device"), make_event(), make_event(device_id="busy-device")]
    decision = send(events)
    assert (decision.outcome, decision.held, decision.status) == (Outcome.PARTIAL, {1: 15.0, 3: 15.0}, 429)


def test_429_daily_quota_waits_by_the_hour(sandbox, send, make_event):
    sandbox.faults({"kind": "quota", "users": ["quota-user"]}, {"kind": "throttle", "devices": ["busy-device"]})
    decision = send([make_event(user_id="quota-user"), make_event(device_id="busy-device"), make_event()])
    assert decision.held == {0: 3_600.0, 1: 15.0}


def test_429_without_ids_leaves_the_whole_integration_alone(sandbox, send, make_event):
    sandbox.faults({"kind": "throttle_all"})
    decision = send([make_event()])
    assert (decision.outcome, decision.wait, decision.maybe_accepted) == (Outcome.BACK_OFF, 15.0, False)


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize("html", [False, True])
def test_500_502_504_may_have_been_accepted(sandbox, send, make_event, status, html):
    sandbox.faults({"kind": "status", "status": status, "html": html})
    decision = send([make_event()])
    assert (decision.outcome, decision.maybe_accepted, decision.status) == (Outcome.BACK_OFF, True, status)


def test_503_was_not_accepted(sandbox, send, make_event):
    sandbox.faults({"kind": "status", "status": 503})
    decision = send([make_event()])
    assert (decision.outcome, decision.maybe_accepted) == (Outcome.BACK_OFF, False)


def test_an_unknown_outcome_that_was_accepted_is_a_repeat_when_sent_again(sandbox, send, make_event):
    event = make_event()
    sandbox.faults({"kind": "status", "status": 504, "accept": True, "count": 1})
    assert send([event]).maybe_accepted
    assert send([event]).outcome is Outcome.ACCEPTED
    assert [record["duplicate"] for record in sandbox.events()] == [False, True]


def test_a_redirect_is_not_followed(sandbox, send, make_event):
    sandbox.faults({"kind": "redirect", "location": sandbox.standard_url + "/batch"})
    decision = send([make_event()])
    assert (decision.outcome, decision.status) == (Outcome.SETUP_FAULT, 302)
    assert [entry["region"] for entry in sandbox.requests()] == ["europe"]


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "405 Method Not Allowed", "407 Proxy"])
def test_another_service_at_the_address_is_a_setup_fault(send, make_event, status):
    with RawServer(http(status)) as server:
        assert send([make_event()], base_url=server.url).outcome is Outcome.SETUP_FAULT


def test_other_4xx_are_split(send, make_event):
    with RawServer(http("422 Unprocessable")) as server:
        decision = send([make_event()], base_url=server.url)
    assert (decision.outcome, decision.problem.code) == (Outcome.SPLIT, "refused_422")


@pytest.mark.parametrize("status", ["201 Created", "202 Accepted", "408 Request Timeout", "599 Odd"])
def test_statuses_that_tell_nothing_are_an_unknown_outcome(send, make_event, status):
    with RawServer(http(status)) as server:
        decision = send([make_event()], base_url=server.url)
    assert (decision.outcome, decision.maybe_accepted) == (Outcome.BACK_OFF, True)


@pytest.mark.parametrize(("given", "wait"), [("40", 40.0), ("3", 15.0), ("86400", 300.0), ("soon", 15.0)])
def test_retry_after_is_honoured_within_bounds_though_undocumented(send, make_event, given, wait):
    with RawServer(http("429 Too Many Requests", b"", f"Retry-After: {given}")) as server:
        assert send([make_event()], base_url=server.url).wait == wait
