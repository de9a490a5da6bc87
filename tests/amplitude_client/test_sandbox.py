"""What the sandbox remembers and offers: dedup, faults, its endpoints, its file, its process."""

import re
import signal
import subprocess
import sys

import orjson
import pytest
import requests

from amplitude_client import AmplitudeClient, Outcome
from amplitude_client.sandbox import Sandbox
from amplitude_client.sandbox.state import State
from tests.amplitude_client.wires import KEY, OTHER_KEY

DAY = 86_400.0


class Clock:
    def __init__(self):
        self.now = 1_764_000_000.0

    def __call__(self):
        return self.now


def put(base_url, *events, api_key=KEY, status=200):
    client = AmplitudeClient(api_key, base_url)
    answer = client.send([orjson.dumps(event) for event in events])
    client.close()
    assert answer.status == status, answer
    return answer


def repeats(sandbox):
    return [record["duplicate"] for record in sandbox.events()]


def test_repeats_by_insert_id_and_device_id_are_counted_and_not_reported(sandbox, make_event):
    event = make_event()
    answer = put(sandbox.eu_url, event, event, {**event, "device_id": "another-device"}, {**event, "insert_id": "new"})
    assert answer.json()["events_ingested"] == 4
    # The last is a repeat by the older rule: same event_id, time and device.
    assert repeats(sandbox) == [False, True, False, True]
    (project,) = sandbox.summary()["projects"]
    assert (project["received"], project["accepted_unique"], project["duplicates"]) == (4, 2, 2)
    assert project["by_event_type"] == {"Product Viewed": 4}


def test_without_insert_id_and_event_id_nothing_is_a_repeat(sandbox, make_event):
    event = make_event(insert_id=None, event_id=None)
    put(sandbox.eu_url, event, event)
    assert repeats(sandbox) == [False, False]


def test_an_event_sent_first_without_a_device_is_not_recognised_with_one(sandbox, make_event):
    event = make_event(device_id=None, event_id=None)
    put(sandbox.eu_url, event, event, {**event, "device_id": "device-later"})
    assert repeats(sandbox) == [False, True, False]
    first, second, _ = sandbox.events()
    assert first["device_id"] == second["device_id"] != ""
    assert "device_id" not in first["event"]


def test_dedup_is_per_project_and_region(sandbox, make_event):
    event = make_event()
    put(sandbox.eu_url, event)
    put(sandbox.eu_url, event, api_key=OTHER_KEY)
    put(sandbox.standard_url, event)
    assert repeats(sandbox) == [False, False, False]
    assert [record["region"] for record in sandbox.events(api_key=KEY)] == ["europe", "standard"]
    assert len(sandbox.events(region="standard")) == 1


def test_after_seven_days_a_repeat_is_a_new_event(make_event):
    clock = Clock()
    event = make_event()
    with Sandbox(clock=clock) as sandbox:
        put(sandbox.eu_url, event)
        clock.now += 7 * DAY - 1
        put(sandbox.eu_url, event)
        clock.now += 2
        put(sandbox.eu_url, event)
        assert repeats(sandbox) == [False, True, False]


def test_throttling_by_id_goes_by_the_clock_and_counts_accepted_events_only(make_event, send, sandbox):
    clock = Clock()
    with Sandbox(clock=clock) as timed:
        timed.faults({"kind": "throttle", "per_id": 1, "window": 3})
        busy = [make_event(user_id="busy-user") for _ in range(3)]
        assert send(busy, base_url=timed.eu_url).outcome is Outcome.ACCEPTED
        over = send([make_event(user_id="busy-user"), make_event()], base_url=timed.eu_url)
        assert (over.status, list(over.held)) == (429, [0])
        clock.now += 3
        assert send([make_event(user_id="busy-user")], base_url=timed.eu_url).outcome is Outcome.ACCEPTED


def test_the_daily_quota_rolls_over_24_hours(make_event, send):
    clock = Clock()
    with Sandbox(clock=clock) as timed:
        timed.faults({"kind": "quota", "per_id": 2})
        put(timed.eu_url, *(make_event(device_id="busy-device") for _ in range(2)))
        assert send([make_event(device_id="busy-device")], base_url=timed.eu_url).held == {0: 3_600.0}
        clock.now += DAY
        assert send([make_event(device_id="busy-device")], base_url=timed.eu_url).outcome is Outcome.ACCEPTED


def test_faults_end_by_count_and_by_time_and_match_by_their_settings(make_event, send):
    clock = Clock()
    with Sandbox(clock=clock) as timed:

        def statuses(**values):
            return send([make_event(**values)], base_url=timed.eu_url).status

        timed.faults({"kind": "status", "count": 2})
        assert [statuses() for _ in range(3)] == [503, 503, 200]
        timed.faults({"kind": "status", "lasts": 10})
        assert statuses() == 503
        clock.now += 10
        assert statuses() == 200
        timed.faults({"kind": "status", "event_type": "Charged"}, {"kind": "close", "region": "standard"})
        assert (statuses(), statuses(event_type="Charged")) == (200, 503)
        timed.clear_faults()
        assert statuses(event_type="Charged") == 200


def test_events_can_be_refused_by_name(sandbox, send, make_event):
    sandbox.faults({"kind": "refuse_events", "event_type": "Charged", "field": "revenue", "count": 1})
    events = [make_event(), make_event(event_type="Charged")]
    assert {index: problem.field for index, problem in send(events).rejected.items()} == {1: "revenue"}
    assert send(events).outcome is Outcome.ACCEPTED


def test_requests_are_logged_with_their_begin_and_end(sandbox, send, make_event):
    send([make_event(), make_event()])
    sandbox.faults({"kind": "close"})
    send([make_event()])
    first, second = sandbox.requests()
    assert first["started_at"] <= first["ended_at"] <= second["started_at"]
    assert [(entry["status"], entry["events"], entry["path"]) for entry in (first, second)] == [
        (200, 2, "/batch"),
        (None, 1, "/batch"),
    ]


def test_the_control_endpoints_serve_what_arrived(sandbox, make_event):
    events = [make_event() for _ in range(5)]
    put(sandbox.eu_url, *events[:3])
    put(sandbox.standard_url, *events[3:])
    control = sandbox.standard_url + "/control/"

    first = requests.get(control + "events", params={"limit": 2}, timeout=5).json()
    rest = requests.get(control + "events", params={"after": first["next"]}, timeout=5).json()
    assert [record["event"] for record in first["events"] + rest["events"]] == events
    assert [record["seq"] for record in rest["events"]] == [2, 3, 4]
    europe = requests.get(control + "events", params={"region": "europe", "api_key": KEY}, timeout=5).json()
    assert len(europe["events"]) == 3
    assert requests.get(control + "events", params={"api_key": OTHER_KEY}, timeout=5).json()["events"] == []
    summary = requests.get(control + "summary", timeout=5)
    assert summary.json()["regions"]["europe"]["received"] == 3
    assert KEY not in summary.text
    assert len(requests.get(control + "requests", params={"after": 1}, timeout=5).json()["requests"]) == 1

    requests.delete(control + "events", timeout=5)
    assert (sandbox.events(), sandbox.summary()["projects"], sandbox.requests()) == ([], [], [])


def test_faults_and_keys_are_set_over_http(sandbox, send, make_event):
    control = sandbox.eu_url + "/control/"
    assert requests.post(control + "faults", json=[{"kind": "status", "api_key": KEY}], timeout=5).status_code == 201
    listed = requests.get(control + "faults", timeout=5)
    assert [fault["kind"] for fault in listed.json()["active"]] == ["status"]
    assert KEY not in listed.text
    assert send([make_event()]).status == 503
    requests.delete(control + "faults", timeout=5)
    assert send([make_event()]).status == 200
    requests.post(control + "keys", json={"europe": [OTHER_KEY]}, timeout=5)
    assert send([make_event()]).outcome is Outcome.SETUP_FAULT
    requests.delete(control + "keys", timeout=5)
    assert send([make_event()]).status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", b"no json"),
        ("faults", b'[{"kind":"unheard-of"}]'),
        ("faults", b'{"kind":"status","colour":"red"}'),
        ("faults", b'{"kind":"status","status":"500"}'),
        ("faults", b'{"kind":"throttle","users":"user-1"}'),
        ("faults", b'{"kind":"status","meter":1}'),
        ("keys", b'{"mars":[]}'),
        ("keys", b'{"europe":"key"}'),
    ],
)
def test_a_wrong_description_is_refused_in_words(sandbox, path, body):
    reply = requests.post(f"{sandbox.eu_url}/control/{path}", data=body, timeout=5)
    assert reply.status_code == 400
    assert reply.json()["error"]
    assert requests.get(sandbox.eu_url + "/control/faults", timeout=5).json()["active"] == []


def test_a_wrong_number_in_a_query_is_refused(sandbox):
    assert requests.get(sandbox.eu_url + "/control/events?after=x", timeout=5).status_code == 400


def test_the_page_shows_what_arrived_and_escapes_it(sandbox, make_event):
    assert "Nothing yet" in requests.get(sandbox.eu_url, timeout=5).text
    event = make_event(event_type="<script>alert(1)</script>")
    put(sandbox.eu_url, event, event)
    sandbox.faults({"kind": "delay", "seconds": 1})
    page = requests.get(sandbox.eu_url, timeout=5)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "repeat" in page.text
    assert KEY not in page.text
    assert "••••cdef" in page.text


def test_accepted_events_survive_a_restart_in_their_file(tmp_path, make_event):
    data = tmp_path / "sandbox.jsonl"
    events = [make_event(), make_event()]
    with Sandbox(data=data) as first:
        put(first.eu_url, *events)
    assert KEY not in data.read_text()
    with data.open("ab") as file:
        file.write(b'{"region":"europe","proj')  # cut off by a crash
    with Sandbox(data=data) as second:
        assert [record["event"] for record in second.events(api_key=KEY)] == events
        put(second.eu_url, events[0])
    with Sandbox(data=data) as third:
        assert repeats(third) == [False, False, True]
        third.reset()
    assert data.read_bytes() == b""


def test_the_file_of_events_does_not_grow_without_bound(tmp_path, make_event):
    data, events = tmp_path / "sandbox.jsonl", [make_event() for _ in range(100)]
    state = State(data=data, file_bytes=4_000)
    for event in events:
        state.accept("europe", KEY, [event], orjson.dumps({"events": [event]}))
    state.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 10_000
    again = State(data=data, file_bytes=4_000)
    kept = [record["event"] for record in again.events(api_key=KEY)]
    assert len(kept) > 5
    assert kept == events[-len(kept) :]
    again.reset()
    again.close()
    assert [file.stat().st_size for file in tmp_path.iterdir()] == [0]


def test_forgetting_keeps_counts_and_hashes_only(make_event):
    event = make_event()
    with Sandbox(forget=True) as sandbox:
        put(sandbox.eu_url, event, event)
        (project,) = sandbox.summary()["projects"]
        assert (project["received"], project["duplicates"], sandbox.events()) == (2, 1, [])


def test_chunked_bodies_and_large_ones_from_curl_are_read(sandbox, make_event):
    body = orjson.dumps({"api_key": KEY, "events": [make_event()]})
    headers = {"Content-Type": "application/json"}
    chunked = requests.post(sandbox.eu_url + "/batch", data=iter([body[:20], body[20:]]), headers=headers, timeout=5)
    assert chunked.status_code == 200
    waits = {**headers, "Expect": "100-continue"}
    assert requests.post(sandbox.eu_url + "/batch", data=body, headers=waits, timeout=5).status_code == 200


def test_as_a_process_it_prints_its_addresses_and_ends_on_a_signal(tmp_path, make_event):
    keys = tmp_path / "keys.json"
    keys.write_text(f'{{"europe": ["{KEY}"]}}')
    command = [sys.executable, "-m", "amplitude_client.sandbox", "--port", "0", "--keys", str(keys)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            addresses = orjson.loads(process.stdout.readline())
            put(addresses["europe"], make_event())
            assert "Invalid API key" in put(addresses["standard"], status=400).json()["error"]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", addresses["standard"])


def test_a_taken_port_is_said_in_one_sentence(sandbox):
    port = sandbox.eu_url.rpartition(":")[2]
    command = [sys.executable, "-m", "amplitude_client.sandbox", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("The sandbox could not start:")
    assert "Traceback" not in ended.stderr
