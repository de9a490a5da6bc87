"""How a record becomes an event of Amplitude, and that the quick way and the careful way say the same."""

import uuid
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.store import EventRow
from partners.adapters.amplitude import AmplitudeAdapter
from partners.contract import Contact, Encoded, EncodeOptions, Refusal, Skip

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
MAPPING = {"data_residency": "europe", "device_id_mapping": "clevertap_id", "user_id_mapping": "identity"}


def row(properties: dict[str, Any] | None = None, **changes: Any) -> EventRow:
    values = {
        "id": 2**31 + 7,
        "uid": str(uuid.UUID(int=7)).encode(),
        "name": "Product Viewed",
        "time_us": int(AT.timestamp()) * 1_000_000,
        "tx_id": 1,
        "person_id": 1,
        "identity": "jane@example.com",
        "clevertap_id": "__device-0001",
        "properties": orjson.dumps(properties or {"Price": 5}),
        "plain": True,
        "time_ms": int(AT.timestamp() * 1000),
    }
    return EventRow(**{**values, **changes})


def encode(record: EventRow, contact: Contact | None = None, mapping: dict[str, str] | None = None, **options: Any):
    encoder = AmplitudeAdapter().encoder(EncodeOptions(settings={**MAPPING, **(mapping or {})}, now=NOW, **options))
    return encoder.encode([record], lambda _ids: {1: contact} if contact else {})[0]


def event(*arguments: Any, **options: Any) -> dict[str, Any]:
    outcome = encode(*arguments, **options)
    assert isinstance(outcome, Encoded), outcome
    decoded: dict[str, Any] = orjson.loads(outcome.body)
    return decoded


def test_an_event_has_the_documented_keys():
    assert event(row()) == {
        "event_type": "Product Viewed",
        "time": 1795429800000,
        "user_id": "jane@example.com",
        "device_id": "__device-0001",
        "insert_id": "00000000-0000-0000-0000-000000000007",
        "event_id": 7,
        "event_properties": {"Price": 5},
    }


def test_history_does_not_overwrite_todays_user_properties():
    assert event(row(), one_time=True)["$skip_user_properties_sync"] is True


def test_known_properties_fill_top_level_keys_and_stay():
    properties = {
        "CT App Version": "1.2",
        "CT OS Version": 14,
        "Model": "Pixel",
        "CT Network Carrier": "O2",
        "CT Latitude": 52.5,
        "CT Longitude": "13.4",
    }
    found = event(row(properties, plain=False))
    assert found["event_properties"] == properties
    assert {key: found[key] for key in ("app_version", "os_version", "device_model", "carrier")} == {
        "app_version": "1.2",
        "os_version": "14",
        "device_model": "Pixel",
        "carrier": "O2",
    }
    assert (found["location_lat"], found["location_lng"]) == (52.5, 13.4)


@pytest.mark.parametrize(
    "place",
    [{"CT Longitude": 13.4}, {"CT Latitude": "north", "CT Longitude": 13.4}, {"CT Latitude": 91, "CT Longitude": 0}],
)
def test_half_a_place_or_one_off_the_earth_is_none(place):
    assert not {"location_lat", "location_lng"} & event(row(place, plain=False)).keys()


def test_charged_brings_revenue_and_currency_and_keeps_its_items():
    items = [{"Category": "books", "Quantity": 1}]
    charged = {"Amount": "300.5", "Currency": "inr", "Charged ID": "A-1", "Items": items}
    found = event(row(charged, name="Charged", plain=False))
    assert (found["revenue"], found["currency"]) == (300.5, "INR")
    assert "productId" not in found
    assert found["event_properties"]["Items"] == items


def test_other_events_have_no_revenue():
    assert "revenue" not in event(row({"Amount": 5}, plain=False))


@pytest.mark.parametrize(
    ("identity", "contact", "mapping", "expected"),
    [
        ("jane@example.com", None, "identity", "jane@example.com"),
        (None, Contact("mail@example.com", "+491234567"), "identity", "mail@example.com"),
        (None, Contact(None, "+491234567"), "identity", "+491234567"),
        ("jane@example.com", Contact("mail@example.com", None), "email", "mail@example.com"),
        ("jane@example.com", Contact(None, None), "phone", "jane@example.com"),
        ("bob", Contact("bob@example.com", None), "identity", "bob@example.com"),
    ],
)
def test_the_user_id_follows_mapping_then_priority_and_must_be_usable(identity, contact, mapping, expected):
    assert event(row(identity=identity), contact, {"user_id_mapping": mapping})["user_id"] == expected


def test_without_device_mapping_no_device_id_is_sent():
    assert "device_id" not in event(row(), None, {"device_id_mapping": "none"})


def test_a_record_without_any_identifier_is_skipped():
    assert encode(row(identity=None), None, {"device_id_mapping": "none"}) == Skip("no_identifier")


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"identity": "bob"}, "id_too_short", "user_id"),
        ({"identity": "undefined"}, "blocked_id", "user_id"),
        ({"clevertap_id": "x"}, "id_too_short", "device_id"),
        ({"name": "[Amplitude] Revenue"}, "reserved_name", "event_type"),
        ({"time_ms": 1_795_429_800}, "bad_time", "time"),
        ({"time_ms": 1_795_429_800_000 + 2 * 86_400_000}, "bad_time", "time"),
        ({"properties": b'{"Deep":' + b"[" * 45 + b"]" * 45 + b"}", "plain": False}, "too_deep", "event_properties"),
    ],
    ids=str,
)
def test_what_amplitude_would_refuse_is_refused_with_field_and_cure(changes, reason, field):
    refusal = encode(row()._replace(**changes))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.field) == (reason, field)
    assert refusal.message
    assert refusal.cure
    assert orjson.loads(refusal.payload)["insert_id"] == str(uuid.UUID(int=7))


def test_excluded_properties_are_not_sent_inside_items_either():
    properties = {
        "Price": 1,
        "Items": [{"Price": 5, "Name": "Tea"}, {"Sizes": {"Price": [1], "Unit": "g"}}, [[{"Price": 2}]]],
    }
    found = event(row(properties, plain=False), excluded_properties=frozenset({"Price"}))
    assert found["event_properties"] == {"Items": [{"Name": "Tea"}, {"Sizes": {"Unit": "g"}}, [[{}]]]}


def test_excluded_properties_are_not_sent_nor_their_top_level_keys():
    properties = {"Secret": "x", "Model": "Pixel", "Price": 5}
    found = event(row(properties, plain=False), excluded_properties=frozenset({"Secret", "Model"}))
    assert found["event_properties"] == {"Price": 5}
    assert "device_model" not in found


def test_hyphenated_names_have_no_white_space_or_slashes():
    found = event(row({"Page / Title": "A / B"}), hyphenate_names=True)
    assert found["event_type"] == "Product-Viewed"
    assert found["event_properties"] == {"Page---Title": "A / B"}


def test_names_that_become_the_same_by_hyphens_lose_no_value_and_are_counted():
    outcome = encode(row({"Order ID": "A", "Order-ID": "B"}), hyphenate_names=True)
    assert isinstance(outcome, Encoded)
    assert orjson.loads(outcome.body)["event_properties"] == {"Order-ID": "B", "Order-ID-2": "A"}
    assert outcome.altered == 1


def test_long_text_is_cut_and_counted():
    outcome = encode(row({"Text": "x" * 2_000}, plain=False))
    assert isinstance(outcome, Encoded)
    assert outcome.altered == 1
    assert len(orjson.loads(outcome.body)["event_properties"]["Text"]) == 1_024


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=5, max_size=30)


@given(
    names=text, identity=text, device=text, properties=st.dictionaries(text, st.integers(-(2**63), 2**63 - 1) | text)
)
def test_the_second_time_a_record_goes_the_quick_way_to_the_same_bytes(names, identity, device, properties):
    record = row(properties, name=names, identity=identity, clevertap_id=device)
    encoder = AmplitudeAdapter().encoder(EncodeOptions(settings=MAPPING, now=NOW))
    careful, quick = (encoder.encode([record], lambda _ids: {}) for _ in range(2))
    assert list(careful) == list(quick)
    assert careful.bodies == quick.bodies
