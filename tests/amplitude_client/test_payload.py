"""The rules for one event, and for text, ids, waits and addresses."""

import math
import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amplitude_client import (
    FUTURE_MS,
    Residency,
    backoff_seconds,
    base_url,
    check_event_type,
    check_id,
    check_time,
    clean_text,
    clean_value,
    hyphenate,
    hyphenate_names,
    is_loopback,
)
from amplitude_client.sandbox import rules

NOW_MS = 1_764_000_000_000


def nested(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"deeper": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        *["anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "{}", "lmy47d", "0", "-1"],
        "",
        '""',
        "''",
        "     ",
        "00000000-0000-0000-0000-000000000000",
        "ANONYMOUS",
        " Unknown ",
    ],
)
def test_blocked_ids_are_refused_in_any_case(value):
    assert check_id(value).code == "blocked_id"


@pytest.mark.parametrize("value", ["00000", "0000-0000"])
def test_zeros_are_no_device_but_may_be_a_user(value):
    assert check_id(value, field="device_id").code == "blocked_id"
    assert check_id(value) is None


def test_short_ids_are_refused_unless_the_minimum_is_lowered():
    problem = check_id("ab12", field="device_id")
    assert (problem.code, problem.field) == ("id_too_short", "device_id")
    assert check_id("ab12", min_length=4) is None
    assert check_id("ab123") is None


@pytest.mark.parametrize("name", ["[Amplitude] Revenue", "[Amplitude] Start Session", "$identify", "$groupidentify"])
def test_names_that_amplitude_keeps_are_refused(name):
    assert check_event_type(name).code == "reserved_name"


def test_other_names_pass_unchanged():
    for name in ("Product/Viewed", "[Amplitude] Mine", "Überraschung 🎉", "$custom"):
        assert check_event_type(name) is None


@pytest.mark.parametrize("time_ms", [0, 1_700_000_000, -5, NOW_MS + FUTURE_MS + 1, NOW_MS * 1_000])
def test_times_that_are_no_milliseconds_of_our_days_are_refused(time_ms):
    assert check_time(time_ms, now_ms=NOW_MS).code == "bad_time"


def test_old_and_slightly_early_times_pass():
    assert check_time(946_684_800_000, now_ms=NOW_MS) is None
    assert check_time(NOW_MS + FUTURE_MS, now_ms=NOW_MS) is None


def test_long_text_is_cut_and_odd_numbers_become_null():
    value = {"text": "x" * 1_030, "list": [math.nan, math.inf, 1.5], "big": 2**70, "fine": "é" * 1_024}
    cleaned = clean_value(value)
    assert cleaned.value == {"text": "x" * 1_024, "list": [None, None, 1.5], "big": str(2**70), "fine": "é" * 1_024}
    assert (cleaned.changes, cleaned.problem) == (4, None)
    assert len(value["text"]) == 1_030


def test_keys_that_look_alike_once_cleaned_keep_both_values():
    cleaned = clean_value({"a\tb": 1, "a-b": 2, "a\x00b": 3})
    assert (cleaned.value, cleaned.changes) == ({"a-b": 1, "a-b-2": 2, "a-b-3": 3}, 3)


def test_forty_levels_pass_and_forty_one_do_not():
    assert clean_value(nested(40)).problem is None
    problem = clean_value(nested(41)).problem
    assert (problem.code, problem.field) == ("too_deep", "event_properties")
    endless = []
    endless.append(endless)
    assert clean_value(endless).problem.code == "too_deep"


def test_control_characters_become_visible_and_line_breaks_stay():
    assert clean_text("a\x00b\tc\x07d\x7fe\x85f\ng\r\nh\ud800") == "a-b-c?d?e\x85f\ng\r\nh?"
    assert clean_text("Schöne „Schuhe“ / 👟 \\ \" ' \u2028") == "Schöne „Schuhe“ / 👟 \\ \" ' \u2028"


def test_hyphenate_replaces_white_space_and_slashes():
    assert hyphenate("App Launched / Home\tPage") == "App-Launched---Home-Page"


def test_names_that_become_the_same_by_hyphens_keep_all_values_in_any_order():
    properties = {"a b": 1, "a/b": 2, "a-b": 3, "a b-2": 4, "c d": 5}
    named = {"a-b": 3, "a-b-2": 1, "a-b-3": 2, "a-b-2-2": 4, "c-d": 5}
    assert hyphenate_names(properties) == (named, 3)
    assert hyphenate_names({"a-b": 3, "a b": 1}) == hyphenate_names({"a b": 1, "a-b": 3}) == ({"a-b": 3, "a-b-2": 1}, 1)
    assert hyphenate_names({"a b": 1, "c": 2}) == ({"a-b": 1, "c": 2}, 0)


MESSY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
)


@given(MESSY)
def test_whatever_is_cleaned_can_be_sent_and_is_clean(value):
    cleaned = clean_value(value)
    assert cleaned.problem is None
    orjson.dumps(cleaned.value)
    assert clean_value(cleaned.value) == (cleaned.value, 0, None)


@given(
    st.sampled_from(["Viewed", "", "[Amplitude] Revenue", "[Amplitude] Mine", "$custom"]),
    st.sampled_from(["user-12345", "abc", "NULL", "", "00000", "  n/a"]),
    st.sampled_from(["device-12345", "xy", "000-000", "n/a", "UNKNOWN "]),
)
def test_client_and_sandbox_read_the_rules_alike_though_each_has_its_own(name, user_id, device_id):
    problems = (check_event_type(name), check_id(user_id), check_id(device_id, field="device_id"))
    event = {"event_type": name, "user_id": user_id, "device_id": device_id}
    assert (problems == (None, None, None)) == (rules.check([event], min_id_length=5) == {})


def test_backoff_grows_with_full_jitter_between_one_second_and_five_minutes():
    rng = random.Random(7)  # noqa: S311  # a fixed seed, no secret
    waits = {failures: [backoff_seconds(failures, rng=rng) for _ in range(200)] for failures in (1, 4, 9, 5_000)}
    assert all(1.0 <= wait <= 300.0 for many in waits.values() for wait in many)
    assert max(waits[1]) <= 2.0
    assert max(waits[4]) <= 16.0
    assert max(waits[5_000]) > 250.0
    assert min(waits[5_000]) < 50.0


def test_addresses_follow_the_residency_and_overrides():
    assert base_url(Residency.EUROPE) == "https://api.eu.amplitude.com"
    assert base_url(Residency.STANDARD, {Residency.EUROPE: "http://x"}) == "https://api2.amplitude.com"
    assert base_url(Residency.EUROPE, {Residency.EUROPE: "http://127.0.0.1:9/ "}) == "http://127.0.0.1:9"
    assert base_url(Residency.EUROPE, {Residency.EUROPE: ""}) == "https://api.eu.amplitude.com"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8", True),
        ("http://[::1]:8", True),
        ("http://localhost", True),
        ("https://example.com", False),
    ],
)
def test_loopback_is_recognised(url, local):
    assert is_loopback(url) is local
