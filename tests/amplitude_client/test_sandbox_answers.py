"""The sandbox is a verified fake: its answers have the bodies that Amplitude documents or that users have seen."""

import gzip

import orjson
import pytest
import requests

from tests.amplitude_client.wires import KEY, OTHER_KEY

IDENTIFIED = {"event_type": "Viewed", "user_id": "user-12345", "device_id": "device-12345"}


@pytest.fixture
def post(sandbox):
    def post_to(path="/batch", *, events=None, region="europe", content=None, headers=None, **body):
        base = sandbox.eu_url if region == "europe" else sandbox.standard_url
        data = content if content is not None else orjson.dumps({"api_key": KEY, "events": events or [], **body})
        headers = {"Content-Type": "application/json", **(headers or {})}
        reply = requests.post(base + path, data=data, headers=headers, timeout=10, allow_redirects=False)
        return reply.status_code, reply.json()

    return post_to


@pytest.mark.parametrize("path", ["/batch", "/2/httpapi"])
def test_200(post, path):
    status, body = post(path, events=[IDENTIFIED] * 2)
    upload_time = body.pop("server_upload_time")
    assert upload_time > 1_700_000_000_000
    size = len(orjson.dumps({"api_key": KEY, "events": [IDENTIFIED] * 2}))
    assert (status, body) == (200, {"code": 200, "events_ingested": 2, "payload_size_bytes": size})


def test_200_to_an_empty_list_has_the_size_seen_in_the_wild(post):
    status, body = post()
    assert (status, body["events_ingested"], body["payload_size_bytes"]) == (200, 0, 58)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "Missing request body"),
        (b'{"api_key":', "Invalid JSON request body"),
        (b"[]", "Invalid JSON request body"),
        (orjson.dumps({"api_key": KEY, "events": [1]}), "Invalid event JSON"),
        (orjson.dumps({"api_key": KEY, "events": {}}), "Invalid event JSON"),
    ],
)
def test_400_of_a_request_that_cannot_be_read(post, content, error):
    assert post(content=content) == (400, {"code": 400, "error": error})


def test_400_of_another_content_type(post):
    assert post(headers={"Content-Type": "text/plain"})[0] == 400


def test_400_of_a_broken_gzip_body(post):
    assert post(content=b"no gzip", headers={"Content-Encoding": "gzip"})[0] == 400


@pytest.mark.parametrize(("name", "kept"), [("events", "api_key"), ("api_key", "events")])
def test_400_of_a_missing_request_field(post, name, kept):
    content = orjson.dumps({kept: KEY if kept == "api_key" else []})
    expected = {"code": 400, "error": "Request missing required field", "missing_field": name}
    assert post(content=content) == (400, expected)


def test_400_of_a_wrong_path(post):
    assert post("/3/batch") == (400, {"code": 400, "error": "Invalid request path"})


@pytest.mark.parametrize("key", ["", "short", "bad" + "0" * 29, "g" * 32, 5, None])
def test_400_of_an_unknown_key_echoes_it(post, key):
    content = orjson.dumps({"api_key": key, "events": []})
    assert post(content=content) == (400, {"code": 400, "error": f"Invalid API key: {key}"})


def test_keys_are_bound_to_their_region_once_registered(sandbox, post):
    sandbox.register_keys("europe", [KEY])
    sandbox.register_keys("standard", [OTHER_KEY])
    assert [post(region=region)[0] for region in ("europe", "standard")] == [200, 400]
    assert [post(region=region, api_key=OTHER_KEY)[0] for region in ("europe", "standard")] == [400, 200]


BAD_TIMES = [IDENTIFIED, {**IDENTIFIED, "time": 1.5}, IDENTIFIED, {**IDENTIFIED, "time": "2024-01-01"}]


def test_400_of_invalid_fields_lists_all_indexes_on_batch_and_the_first_on_http_v2(post):
    expected = {"code": 400, "error": "Invalid field values on some events"}
    assert post(events=BAD_TIMES) == (400, {**expected, "events_with_invalid_fields": {"time": [1, 3]}})
    first = {**expected, "events_with_invalid_fields": {"time": [1]}}
    assert post("/2/httpapi", events=BAD_TIMES) == (400, first)


def test_400_of_missing_fields_of_events_has_no_missing_field(post):
    nameless = {"user_id": "user-12345"}
    expected = {
        "code": 400,
        "error": "Request missing required field",
        "events_with_missing_fields": {"event_type": [0], "user_id": [1]},
    }
    assert post(events=[nameless, {"event_type": "Viewed"}]) == (400, expected)


def test_400_of_a_short_id_as_users_have_seen_it(post):
    expected = {
        "code": 400,
        "events_with_invalid_id_lengths": {"user_id": [0]},
        "error": "Invalid id length for user_id or device_id",
    }
    assert post(events=[{**IDENTIFIED, "user_id": "abcd"}]) == (400, expected)


def test_the_minimum_length_can_be_lowered(post):
    event = {**IDENTIFIED, "user_id": "abcd"}
    assert post(events=[event], options={"min_id_length": 4})[0] == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user_id": "Anonymous"}, "user_id"),
        ({"device_id": "00000000-0000-0000-0000-000000000000"}, "device_id"),
        ({"device_id": "000000"}, "device_id"),
        ({"event_type": "[Amplitude] Revenue"}, "event_type"),
        ({"event_type": ""}, "event_type"),
        ({"event_properties": "text"}, "event_properties"),
        ({"revenue": "5"}, "revenue"),
        ({"event_id": 1.0}, "event_id"),
        ({"session_id": True}, "session_id"),
        ({"user_properties": {"$clearAll": "-"}}, "user_properties"),
        ({"event_type": "$identify", "user_properties": {"$set": {"City": "Pune"}, "Plan": "Gold"}}, "user_properties"),
        ({"event_type": "$identify", "user_properties": {"$put": {"City": "Pune"}}}, "user_properties"),
        ({"event_type": "$identify", "user_properties": {"$set": ["City"]}}, "user_properties"),
        ({"event_type": "$identify", "user_properties": {"$add": {"Visits": "1"}}}, "user_properties"),
        ({"event_type": "$identify", "user_properties": "Pune"}, "user_properties"),
    ],
)
def test_values_that_are_refused(post, change, field):
    status, body = post(events=[{**IDENTIFIED, **change}])
    assert (status, body["events_with_invalid_fields"]) == (400, {field: [0]})


def test_user_properties_are_set_and_removed_by_operations_of_identify(post):
    operations = {"$set": {"City": "Pune", "Tags": ["a", "b"]}, "$unset": {"Plan": "-"}}
    identify = {**IDENTIFIED, "event_type": "$identify"}
    assert post(events=[{**identify, "user_properties": operations}, identify])[0] == 200
    assert post(events=[{**identify, "user_properties": {"City": "Pune"}}])[0] == 200


def test_objects_deeper_than_forty_levels_are_refused(post):
    def nested(levels):
        value = 1
        for _ in range(levels):
            value = {"deeper": value}
        return value

    assert post(events=[{**IDENTIFIED, "event_properties": nested(40)}])[0] == 200
    assert post(events=[{**IDENTIFIED, "event_properties": nested(41)}])[0] == 400


def test_413_beyond_the_number_of_events(post):
    assert post(events=[IDENTIFIED] * 2_000)[0] == 200
    assert post(events=[IDENTIFIED] * 2_001) == (413, {"code": 413, "error": "Payload too large"})


def test_413_beyond_one_megabyte_on_http_v2_also_after_gzip(post):
    event = {**IDENTIFIED, "event_properties": {"text": "x" * 1_000_000}}
    content = orjson.dumps({"api_key": KEY, "events": [event]})
    assert post(content=content)[0] == 200
    assert post("/2/httpapi", content=content)[0] == 413
    packed = {"content": gzip.compress(content), "headers": {"Content-Encoding": "gzip"}}
    assert post(**packed)[0] == 200
    assert post("/2/httpapi", **packed)[0] == 413


def test_403(sandbox, post):
    sandbox.faults({"kind": "forbidden"})
    assert post() == (403, {"code": 403, "error": "Forbidden"})


def test_429_of_named_ids(sandbox, post):
    sandbox.faults({"kind": "throttle", "devices": ["device-12345"]}, {"kind": "quota", "users": ["user-9999"]})
    events = [{**IDENTIFIED, "device_id": "device-0"}, IDENTIFIED, {**IDENTIFIED, "user_id": "user-9999"}]
    expected = {
        "code": 429,
        "error": "Too many requests for some devices and users",
        "eps_threshold": 1_000,
        "throttled_devices": {"device-12345": 2},
        "throttled_users": {},
        "throttled_events": [1, 2],
        "exceeded_daily_quota_users": {"user-9999": 1},
        "exceeded_daily_quota_devices": {},
    }
    assert post(events=events) == (429, expected)
    assert post("/2/httpapi", events=events)[1]["eps_threshold"] == 30
    assert sandbox.events() == []


def test_400_of_silenced_devices(sandbox, post):
    sandbox.faults({"kind": "silence", "devices": ["device-12345"]})
    expected = {
        "code": 400,
        "eps_threshold": 1_000,
        "error": "Events silenced for device_id",
        "exceeded_daily_quota_devices": {},
        "silenced_devices": ["device-12345"],
        "silenced_events": [1],
        "throttled_devices": {},
        "throttled_events": [],
    }
    assert post(events=[{**IDENTIFIED, "device_id": "device-0"}, IDENTIFIED]) == (400, expected)
