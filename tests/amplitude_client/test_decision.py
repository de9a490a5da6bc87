"""Odd shapes of answers: whatever the body holds, a decision is made and nothing is guessed."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amplitude_client import Answer, Outcome, decide, mask
from tests.amplitude_client.wires import KEY

IDS = [("user-0", "device-0"), ("user-1", "device-1"), ("user-2", None), (None, "device-3"), ("user-0", "device-4")]
ODD_INDEXES = [99, -1, True, 1.0, "1", None, [1]]


def judge(status, body, ids=IDS, headers=None):
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return decide(Answer(status, content, headers or {}), batch_size=len(ids), ids=ids, api_key=KEY)


@pytest.mark.parametrize("indexes", [ODD_INDEXES, {}, "0", None, []])
def test_indexes_that_cannot_be_used_leave_halving(indexes):
    decision = judge(400, {"code": 400, "events_with_invalid_fields": {"time": indexes}})
    assert decision.outcome is Outcome.SPLIT


def test_usable_indexes_are_used_though_others_are_not():
    body = {"code": 400, "events_with_invalid_fields": {"time": [*ODD_INDEXES, 2]}, "events_with_missing_fields": [7]}
    decision = judge(400, body)
    assert (decision.outcome, list(decision.rejected)) == (Outcome.PARTIAL, [2])


def test_a_bare_index_counts_as_a_list():
    assert list(judge(400, {"code": 400, "events_with_missing_fields": {"event_type": 3}}).rejected) == [3]


def test_later_events_queue_behind_a_held_one_of_the_same_person():
    decision = judge(429, {"code": 429, "throttled_devices": {"device-0": 1_200}, "throttled_events": [0]})
    assert decision.held == {0: 15.0, 4: 15.0}  # 4 has another device, but the same user


def test_a_listed_event_is_held_though_its_id_is_not_named():
    assert judge(429, {"code": 429, "throttled_events": [3]}).held == {3: 15.0}


def test_a_quota_of_an_id_that_amplitude_made_up_is_waited_for_by_its_listed_events():
    body = {"code": 429, "exceeded_daily_quota_devices": {"made-up": 500_001}, "throttled_events": [2]}
    assert judge(429, body).held == {2: 3_600.0}


def test_made_up_ids_without_a_list_are_found_by_halving_and_then_held():
    body = {"code": 429, "throttled_devices": {"made-up": 1_200}}
    assert judge(429, body).outcome is Outcome.SPLIT
    single = judge(429, body, ids=[("user-2", None)])
    assert (single.outcome, single.held) == (Outcome.PARTIAL, {0: 15.0})


def test_the_longer_wait_wins():
    body = {"code": 429, "throttled_users": {"user-1": 1}, "exceeded_daily_quota_devices": {"device-1": 500_001}}
    assert judge(429, body).held == {1: 3_600.0}


def test_an_event_refused_for_good_is_not_held():
    body = {"code": 400, "silenced_events": [1], "silenced_devices": ["device-1"], "throttled_events": [1, 2]}
    decision = judge(400, body)
    assert (list(decision.rejected), list(decision.held)) == ([1], [2])


def test_all_events_of_a_silenced_device_are_rejected_though_the_list_stops_early():
    ids = [("user-0", "silent"), ("user-1", "device-1"), ("user-2", "silent")]
    body = {"code": 400, "silenced_devices": ["silent"], "silenced_events": [0]}
    assert list(judge(400, body, ids).rejected) == [0, 2]


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":400,"error":"Invalid API key: ' + KEY.encode() + b'"}',
        b"invalid_api_key",
        b'{"code":400,"error":"invalid api key: ' + KEY.upper().encode() + b'"}',
    ],
)
def test_an_unknown_key_is_known_in_all_its_forms(body):
    decision = judge(400, body)
    assert decision.outcome is Outcome.SETUP_FAULT
    assert KEY not in repr(decision).lower()


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 413, 418, 429, 500, 503])
def test_an_echoed_key_never_reaches_a_message(status):
    echo = {"error": f"no: {KEY}", "missing_field": KEY, "events_with_invalid_fields": {KEY: [0]}}
    assert KEY not in repr(judge(status, echo))
    assert KEY not in repr(judge(status, f"<p>{KEY}</p>".encode()))


def test_half_a_key_at_the_end_of_a_long_answer_is_masked_too():
    for place in range(300 - len(KEY), 300):
        answer = Answer(500 if place % 2 else 400, b'{"code":400,"error":"%b"}' % (b"x" * place + KEY.encode()))
        message = decide(answer, batch_size=1, ids=[("user-1", None)], api_key=KEY).message
        assert KEY[:4] not in message


def test_masking_needs_no_known_key():
    assert mask("Invalid API key: 0123abc", "") == "Invalid API key: ••••"
    assert mask(f"key {KEY}!", f" {KEY}\n") == "key ••••!"


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {"code": 200, "events_ingested": 0}, Outcome.ACCEPTED),
        (400, {"code": 400, "error": "Request missing required field", "missing_field": "events"}, Outcome.ACCEPTED),
        (400, {"code": 400, "error": "Invalid API key: x"}, Outcome.SETUP_FAULT),
        (400, b"<html>Bad Request</html>", Outcome.SETUP_FAULT),
        (403, {"code": 403, "error": "Forbidden"}, Outcome.SETUP_FAULT),
        (413, {"code": 413, "error": "Payload too large"}, Outcome.SETUP_FAULT),
        (503, b"", Outcome.BACK_OFF),
    ],
)
def test_a_probe_tells_a_wall_from_a_poisonous_event(status, body, outcome):
    assert judge(status, body, ids=[]).outcome is outcome


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KNOWN_KEYS = st.sampled_from(
    [
        "code",
        "error",
        "missing_field",
        "events_ingested",
        "events_with_missing_fields",
        "events_with_invalid_fields",
        "events_with_invalid_id_lengths",
        "silenced_events",
        "silenced_devices",
        "throttled_events",
        "throttled_users",
        "throttled_devices",
        "exceeded_daily_quota_users",
    ]
)


@settings(max_examples=300, deadline=None)
@given(status=st.integers(100, 999), data=st.dictionaries(KNOWN_KEYS, JSON, max_size=6) | JSON)
def test_every_answer_has_a_decision_that_names_only_events_of_the_request(status, data):
    decision = judge(status, data)
    named = {*decision.rejected, *decision.held}
    assert named <= set(range(len(IDS)))
    assert bool(named) == (decision.outcome is Outcome.PARTIAL)
    assert not set(decision.rejected) & set(decision.held)
    assert decision.message
    if decision.outcome is Outcome.SPLIT and status != 429:
        assert decision.problem is not None
