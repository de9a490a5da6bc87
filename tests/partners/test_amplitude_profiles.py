"""How a profile update, or a person, becomes a $identify event of Amplitude."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amplitude_client.sandbox import rules
from events.logs import ProfileRow
from partners.adapters.amplitude import AmplitudeAdapter
from partners.contract import Contact, Encoded, EncodeOptions, Refusal, Skip

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
MAPPING = {"data_residency": "europe", "device_id_mapping": "clevertap_id", "user_id_mapping": "identity"}


def row(sets: dict[str, Any] | None = None, removed: tuple[str, ...] = (), **changes: Any) -> ProfileRow:
    values = {
        "id": 7,
        "uid": str(uuid.UUID(int=7)).encode(),
        "removed": removed,
        "time_us": int(AT.timestamp()) * 1_000_000,
        "tx_id": 1,
        "person_id": 1,
        "identity": "jane@example.com",
        "clevertap_id": "__device-0001",
        "properties": orjson.dumps({} if sets is None else sets),
        "time_ms": int(AT.timestamp() * 1000),
    }
    return ProfileRow(**{**values, **changes})


def encode(record: ProfileRow, contact: Contact | None = None, mapping: dict[str, str] | None = None, **options: Any):
    settings = {**MAPPING, **(mapping or {})}
    encoder = AmplitudeAdapter().profile_encoder(EncodeOptions(settings=settings, now=NOW, **options))
    return encoder.encode([record], lambda _ids: {1: contact} if contact else {})[0]


def event(*arguments: Any, **options: Any) -> dict[str, Any]:
    outcome = encode(*arguments, **options)
    assert isinstance(outcome, Encoded), outcome
    decoded: dict[str, Any] = orjson.loads(outcome.body)
    return decoded


def test_a_profile_has_the_documented_keys_and_no_others():
    assert event(row({"City": "Pune"}, ("Plan",)), one_time=True) == {
        "event_type": "$identify",
        "time": 1795429800000,
        "user_id": "jane@example.com",
        "device_id": "__device-0001",
        "insert_id": "00000000-0000-0000-0000-000000000007",
        "user_properties": {"$set": {"City": "Pune"}, "$unset": {"Plan": "-"}},
    }


@pytest.mark.parametrize(
    ("sets", "removed", "operations"),
    [
        (
            {"Tags": ["a", "b"], "Plus": True, "Visits": 3},
            (),
            {"$set": {"Tags": ["a", "b"], "Plus": True, "Visits": 3}},
        ),
        ({}, ("Plan", "City"), {"$unset": {"Plan": "-", "City": "-"}}),
        ({}, (), {"$set": {}}),
        ({"$set": 1, "$add": {"x": 2}}, (), {"$set": {"$set": 1, "$add": {"x": 2}}}),
        ({"City": "Pune"}, ("City",), {"$set": {"City": "Pune"}}),
        ({"Größe 🛒": "a/b\n“c”"}, (), {"$set": {"Größe 🛒": "a/b\n“c”"}}),
    ],
    ids=str,
)
def test_every_key_stands_in_one_operation(sets, removed, operations):
    assert event(row(sets, removed))["user_properties"] == operations


def test_excluded_properties_are_not_set_inside_nested_values_either():
    found = event(row({"Home": {"Street": "Hill Road", "City": "Pune"}}), excluded_properties=frozenset({"Street"}))
    assert found["user_properties"] == {"$set": {"Home": {"City": "Pune"}}}


def test_excluded_properties_are_neither_set_nor_removed():
    excluded = frozenset({"Phone", "Plan"})
    found = event(row({"Phone": "+491234567", "City": "Pune"}, ("Plan", "Old")), excluded_properties=excluded)
    assert found["user_properties"] == {"$set": {"City": "Pune"}, "$unset": {"Old": "-"}}
    assert event(row({"Phone": "+491234567"}), excluded_properties=excluded)["user_properties"] == {"$set": {}}


def test_hyphenated_names_of_properties_and_no_other_name():
    found = event(row({"Home / Town": "New Delhi"}, ("Old Plan", "Home - Town")), hyphenate_names=True)
    assert found["user_properties"] == {"$set": {"Home---Town": "New Delhi"}, "$unset": {"Old-Plan": "-"}}
    assert found["event_type"] == "$identify"


def test_names_that_become_the_same_by_hyphens_lose_no_value_and_are_counted():
    outcome = encode(row({"Order ID": "A", "Order-ID": "B"}, ("Order/ID",)), hyphenate_names=True)
    assert isinstance(outcome, Encoded)
    assert orjson.loads(outcome.body)["user_properties"] == {"$set": {"Order-ID": "B", "Order-ID-2": "A"}}
    assert outcome.altered == 1


@pytest.mark.parametrize(
    ("identity", "contact", "mapping", "expected"),
    [
        (None, Contact("mail@example.com", "+491234567"), "identity", "mail@example.com"),
        ("jane@example.com", Contact("mail@example.com", None), "email", "mail@example.com"),
        ("bob", Contact("bob@example.com", None), "identity", "bob@example.com"),
        (None, None, "identity", None),
    ],
)
def test_the_user_id_follows_mapping_then_priority_and_must_be_usable(identity, contact, mapping, expected):
    found = event(row(identity=identity), contact, {"user_id_mapping": mapping})
    assert (found.get("user_id"), found["device_id"]) == (expected, "__device-0001")


@pytest.mark.parametrize("identity", [None, "bob"])
def test_contacts_are_wanted_where_the_identity_is_of_no_use(identity):
    encoder = AmplitudeAdapter().profile_encoder(EncodeOptions(settings=MAPPING, now=NOW))
    wanted: list[set[int]] = []

    def look_up(ids: Iterable[int]) -> dict[int, Contact]:
        wanted.append(set(ids))
        return {}

    encoder.encode([row(person_id=1, identity=identity), row(person_id=2)], look_up)
    encoder.encode([row(person_id=1, identity=identity)], look_up)  # is known by now
    assert wanted == [{1}]


def test_a_profile_without_any_identifier_is_skipped():
    assert encode(row(identity=None), None, {"device_id_mapping": "none"}) == Skip("no_identifier")
    assert "device_id" not in event(row(), None, {"device_id_mapping": "none"})


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"identity": "bob"}, "id_too_short", "user_id"),
        ({"clevertap_id": "x"}, "id_too_short", "device_id"),
        ({"time_ms": 1_795_429_800}, "bad_time", "time"),
        ({"properties": '{"Deep":' + "[" * 39 + "]" * 39 + "}"}, "too_deep", "user_properties"),
    ],
    ids=str,
)
def test_what_amplitude_would_refuse_is_refused_with_field_and_payload(changes, reason, field):
    refusal = encode(row()._replace(**changes))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.field) == (reason, field)
    assert orjson.loads(refusal.payload)["event_type"] == "$identify"


def test_long_text_and_numbers_beyond_64_bits_are_mended_and_counted():
    outcome = encode(row(properties=b'{"Text": "%s", "Big": 123456789012345678901234567890, "n": 1}' % (b"x" * 2_000)))
    assert isinstance(outcome, Encoded)
    assert outcome.altered == 1
    sent = orjson.loads(outcome.body)["user_properties"]["$set"]
    assert (len(sent["Text"]), sent["Big"], sent["n"]) == (1_024, 1.2345678901234568e29, 1)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
integers = st.integers(-(2**63), 2**63 - 1)
values = st.recursive(st.none() | st.booleans() | integers | text, st.lists, max_leaves=5)


@given(sets=st.dictionaries(text, values), removed=st.lists(text), excluded=st.sets(text), hyphenate=st.booleans())
def test_whatever_a_profile_holds_amplitude_takes_it(sets, removed, excluded, hyphenate):
    record = row(removed=tuple(removed), properties=orjson.dumps(sets))
    found = event(record, excluded_properties=frozenset(excluded), hyphenate_names=hyphenate)
    assert rules.check([found], min_id_length=5) == {}
    assert set(found["user_properties"]) <= {"$set", "$unset"}
