"""Each rule for one uploaded record: codes, texts, cleaning. No database."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import amplitude_client
from events import json_text, store
from events.models import Flag
from events.properties import clean_properties
from events.records import EventRecord, ProfileRecord, read_record
from events.refusals import Refusal
from events.text import clean_text, date_value
from tests.events.capture import NOW, event, profile


def read(record: Any) -> EventRecord:
    found = read_record(record, index=0, now=NOW, limit=512)
    assert isinstance(found, EventRecord)
    return found


def read_profile(**data: Any) -> ProfileRecord:
    found = read_record(profile(**data), index=0, now=NOW, limit=512)
    assert isinstance(found, ProfileRecord)
    return found


def code_of(record: Any) -> int:
    with pytest.raises(Refusal) as refusal:
        read_record(record, index=0, now=NOW, limit=512)
    assert refusal.value.error
    return refusal.value.code


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (event(name=None), 509),
        (event(name=""), 509),
        (event(name="  "), 509),
        (event(name="x" * 513), 512),
        (event(name=["Searched"]), 512),
        (event(data="text"), 512),
        (event(data=[1]), 512),
        (event(data={"k" * 121: 1}), 512),
        (event(data={"deep": nested(41)}), 512),
        (event(data={str(number): number for number in range(257)}), 522),
        (event(identity=None), 523),
        (event(identity=""), 523),
        (event(identity=" \n"), 523),
        (event(identity=True), 523),
        (event(identity={"id": 1}), 523),
        (event(identity="x" * 1025), 523),
        ({"evtName": "Searched", "identity": "asha"}, 524),
        ({"type": "page", "identity": "asha"}, 524),
        (event(name="Charged", data={"Items": [{}] * 257}), 522),
        (event(identity=None, objectId="x" * 65), 526),
        (event(identity=None, objectId="no spaces"), 526),
        (event(objectId="ünï"), 526),
        (event(uid=["a"]), 512),
        ("text", 512),
        (None, 512),
        (42, 512),
    ],
)
def test_each_fault_of_an_event_has_its_code(record: Any, code: int) -> None:
    assert code_of(record) == code


@pytest.mark.parametrize(
    "ts",
    [
        0,
        -1,
        "0",
        "-5",
        "",
        "yesterday",
        "2026-11-20",
        True,
        [1],
        1_795_000_000_000,
        "1795000000000",
        10**30,
        10**400,
        math.nan,
    ],
)
def test_a_time_that_is_not_in_epoch_seconds_is_refused(ts: Any) -> None:
    assert code_of(event(ts=ts)) == 525


def test_a_time_of_zero_has_the_recorded_text() -> None:
    with pytest.raises(Refusal, match=r"^Timestamp should be present in the Unix Epoch format\.$"):
        read(event(ts=0))


def test_a_charged_event_has_256_items_at_most() -> None:
    assert read(event(name="Charged", data={"Items": [{"Quantity": 1}] * 256})).name == "Charged"


def test_milliseconds_are_called_by_their_name() -> None:
    with pytest.raises(Refusal, match="It is in milliseconds: send seconds"):
        read(event(ts=int(NOW.timestamp() * 1000)))


def test_more_than_a_day_ahead_is_the_future() -> None:
    assert read(event(ts=(NOW + timedelta(hours=23)).timestamp())).at == NOW + timedelta(hours=23)
    with pytest.raises(Refusal, match="It lies in the future"):
        read(event(ts=(NOW + timedelta(hours=25)).timestamp()))


@pytest.mark.parametrize("ts", [1_468_308_340, "1468308340", 1_468_308_340.0])
def test_ts_is_epoch_seconds_as_a_number_or_digits(ts: Any) -> None:
    assert read(event(ts=ts)).at == datetime(2016, 7, 12, 7, 25, 40, tzinfo=UTC)


def test_without_ts_the_event_happened_now() -> None:
    assert read(event()).at == NOW
    assert read(event(ts=None)).at == NOW


@pytest.mark.parametrize(("given", "kept"), [(42, "42"), (42.0, "42"), (4.5, "4.5"), (" asha ", "asha"), ("म", "म")])
def test_ids_become_text(given: Any, kept: str) -> None:
    assert read(event(identity=given)).identity == kept


@pytest.mark.parametrize("given", [math.nan, math.inf, True, ["asha"]])
def test_what_is_neither_text_nor_a_number_identifies_nobody(given: Any) -> None:
    assert code_of(event(identity=given)) == 523


@pytest.mark.parametrize("key", ["identity", "FBID", "GPID", "profileData"])
def test_a_number_that_lost_digits_is_no_identity(key: str) -> None:
    body = b'{"type": "profile", "objectId": "__d1", "profileData": {}, "%s": %s}'
    value = b'{"Identity": 108204268033311374519}' if key == "profileData" else b"108204268033311374519"
    with pytest.raises(Refusal, match="send it as text") as refusal:
        read_record(json_text.parse(body % (key.encode(), value)), index=0, now=NOW, limit=512)
    assert refusal.value.code == 523
    assert read(event(identity=2**53 + 1)).identity == "9007199254740993"


def test_fbid_and_gpid_stand_in_for_a_missing_identity() -> None:
    assert read(event(identity=None, FBID=34322423)).others == (("fbid", "34322423"),)
    assert read(event(identity=None, GPID="g1", FBID="")).others == (("gpid", "g1"),)
    record = read(event(identity="asha", FBID="1", GPID=2))
    assert (record.identity, record.others) == ("asha", (("fbid", "1"), ("gpid", "2")))


def test_a_profile_may_say_who_it_is() -> None:
    record = read_record(
        {"type": "profile", "objectId": "__d1", "FBID": "f", "profileData": {"identity": 42}},
        index=0,
        now=NOW,
        limit=512,
    )
    assert isinstance(record, ProfileRecord)
    assert (record.identity, record.others, record.update.properties) == ("42", (("fbid", "f"),), {})
    assert read_profile(Identity="asha").others == ()
    assert read_profile(Identity="second").others == (("identity", "second"),)
    assert code_of(profile(Identity=["a"])) == 523


def test_who_a_profile_says_it_is_is_read_as_any_identity() -> None:
    for identity in ("x" * 1_024, "$D_1700000000"):
        assert read_profile(Identity=identity).others == (("identity", identity),)
    assert code_of(profile(Identity="x" * 1_025)) == 523
    assert (read_profile(Identity="").identity, read_profile(Identity=None).identity) == ("asha", "asha")


def test_a_uid_may_be_given_and_always_becomes_the_same_uuid() -> None:
    given = "0192f0c1-2f4e-7cc3-98c4-dc0c0c07398f"
    assert read(event(uid=given)).uid == given
    assert read(event(uid="order-1")).uid == read(event(uid="order-1")).uid != read(event(uid="order-2")).uid
    assert read(event()).uid is None


def test_unknown_keys_of_a_record_are_tolerated() -> None:
    assert read(event(source="Segment")).name == "Product Viewed"


def test_names_are_cleaned_and_odd_ones_flagged_but_kept() -> None:
    record = read(event(name="Cart: 50% off\t\x01", data={"a.b": 1}))
    assert (record.name, record.flags) == ("Cart: 50% off-?", Flag.ODD_NAME)
    assert read(event(data={"a.b": 1})).flags == Flag.ODD_NAME
    assert read(event(name="Product Viewed 🛒 देखा", data={"City Name": "Pune"})).flags == 0


@pytest.mark.parametrize(
    ("data", "flag"),
    [
        ({"Items": [{"Price": 1}]}, Flag.PARSE),
        ({"a": {"b": 1}}, Flag.PARSE),
        ({"a": 2**64}, Flag.PARSE),
        ({"a": 1e300}, Flag.PARSE),
        ({"CT App Version": "8.1"}, Flag.WELL_KNOWN),
        ({"ct_latitude": 18.5}, Flag.WELL_KNOWN),
        ({"Model": "Pixel"}, Flag.WELL_KNOWN),
        ({"a": "x" * 513}, Flag.CUT),
        ({"a": "x" * 512, "b": None, "c": True, "d": 1.5, "e": -3}, 0),
    ],
)
def test_flags_tell_delivery_what_it_must_parse(data: dict[str, Any], flag: int) -> None:
    assert read(event(data=data)).flags == flag


def test_charged_always_goes_through_the_parser() -> None:
    assert read(event(name="Charged", data={"Amount": 300})).flags & Flag.WELL_KNOWN


def test_the_limit_of_a_value_is_a_setting_of_at_most_1024() -> None:
    assert clean_properties({"a": "x" * 900}, limit=700) == ({"a": "x" * 700}, Flag.CUT)


def test_dates_become_iso_8601() -> None:
    data = {"Delivery By": "$D_1468322268", "Items": [{"until": "$D_0"}], "no": "$D_x", "far": "$D_999999999999"}
    assert orjson.loads(read(event(data=data)).properties) == {
        "Delivery By": "2016-07-12T11:17:48Z",
        "Items": [{"until": "1970-01-01T00:00:00Z"}],
        "no": "$D_x",
        "far": "$D_999999999999",
    }


def test_keys_that_become_alike_keep_both_values() -> None:
    cleaned, _ = clean_properties({"a\x00": 1, "a\t": 2, "a-": 3}, limit=512)
    assert cleaned == {"a-": 1, "a--2": 2, "a--3": 3}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a\x00b\tc", "a-b-c"),
        ("bell\x07 del\x7f c1\x9b", "bell? del? c1?"),
        ("line\r\nbreak\x85 stays", "line\r\nbreak\x85 stays"),
        ("lone \ud83d half", "lone ? half"),
        ('a/b \\ "c"', 'a/b \\ "c"'),
        ("नमस्ते 👩‍👩‍👧 سلام", "नमस्ते 👩‍👩‍👧 سلام"),
    ],
)
def test_text_is_cleaned_as_the_design_says(given: str, kept: str) -> None:
    assert clean_text(given) == kept


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=30)
    | st.text(st.characters(categories=["Cc", "Cs"]), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=10), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(), max_size=20), anything, max_size=8))
def test_whatever_is_cleaned_can_be_stored_and_sent(data: dict[str, Any]) -> None:
    cleaned, flags = clean_properties(data, limit=64)
    text = orjson.dumps(cleaned).decode()
    assert "\\u0000" not in text
    assert len(cleaned) == len(data)
    assert clean_properties(cleaned, limit=64)[0] == cleaned
    assert flags & Flag.PARSE or all(not isinstance(value, dict | list) for value in cleaned.values())
    assert json.loads(text) == orjson.loads(text)


@given(st.dictionaries(st.text(st.characters(), max_size=20), anything, max_size=8))
def test_what_is_not_flagged_needs_no_change_on_its_way_to_amplitude(data: dict[str, Any]) -> None:
    cleaned, flags = clean_properties(data, limit=1_024)
    if not flags & store.PARSED:
        assert amplitude_client.clean_value(cleaned) == (cleaned, 0, None)


@given(st.text(st.characters()))
def test_cleaned_text_has_the_same_length_and_is_utf_8(text: str) -> None:
    cleaned = clean_text(text)
    assert len(cleaned) == len(text)
    assert "\x00" not in cleaned.encode().decode()


@given(st.text(st.characters()))
def test_only_dates_change_as_dates(text: str) -> None:
    assert date_value(text) == text or text.startswith("$D_")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"Email": "no-at.example.com"}, 515),
        ({"Email": 5}, 515),
        ({"Phone": "call me"}, 516),
        ({"Phone": "+123"}, 516),
        ({"Phone": True}, 516),
        ({"Gender": "X"}, 514),
        ({"Employed": "maybe"}, 517),
        ({"Education": "Nursery"}, 518),
        ({"Married": 1}, 519),
        ({"Age": -1}, 520),
        ({"Age": "old"}, 520),
        ({"k" * 121: 1}, 512),
    ],
)
def test_each_fault_of_a_profile_has_its_code(data: dict[str, Any], code: int) -> None:
    assert code_of(profile(**data)) == code


def test_the_recorded_texts_of_the_original_are_kept() -> None:
    with pytest.raises(Refusal, match=r"^Profile data is incorrect\. Email is not valid\.$"):
        read_profile(Email="x")
    with pytest.raises(Refusal, match=r"^Profile data is incorrect\. Phone number is not valid\.$"):
        read_profile(Phone="x")
    with pytest.raises(Refusal, match=r"^Event Name is incorrect\. ErrorCode: 509 - Event name is mandatory\.$"):
        read(event(name=""))


def test_profile_data_must_be_an_object_and_have_an_owner() -> None:
    assert code_of({"type": "profile", "identity": "asha"}) == 512
    assert code_of({"type": "profile", "profileData": {"Name": "Asha"}}) == 523
    assert code_of({**profile(Name="Asha"), "ts": 0}) == 525


def test_a_profile_says_what_it_sets_and_what_it_removes() -> None:
    update = read_profile(Name="Asha", Email="asha@example.com", Phone=919876543210, City="Pune", Old=None).update
    assert update.columns == {"name": "Asha", "email": "asha@example.com", "phone": "919876543210"}
    assert update.properties == {"City": "Pune"}
    assert update.changed == {**update.properties, "Name": "Asha", "Email": "asha@example.com", "Phone": "919876543210"}
    assert update.removed == ["Old"]


def test_what_a_refusal_repeats_can_be_stored_and_sent() -> None:
    assert Refusal(512, "“\ud800\0” is odd.").error == "“?-” is odd."


def test_phones_lose_their_fillers() -> None:
    assert read_profile(Phone="+91 (98765) 432-10").update.columns == {"phone": "+919876543210"}


def token(**changes: Any) -> dict[str, Any]:
    return {"type": "token", "objectId": "__d1", "tokenData": {"id": "abc", "type": "fcm"}, **changes}


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (token(objectId=None), 530),
        (token(objectId="a b"), 526),
        (token(tokenData=None), 531),
        (token(tokenData={"type": "fcm"}), 532),
        (token(tokenData={"id": "abc", "type": "pigeon"}), 533),
        (token(objectId="__g1", tokenData={"id": "abc", "type": "apns"}), 534),
        (token(objectId="-v1", tokenData={"id": "abc", "type": "gcm"}), 534),
        (token(tokenData={"id": "abc", "type": "fcm", "keys": {}}), 535),
    ],
)
def test_each_fault_of_a_token_has_its_code(record: Any, code: int) -> None:
    assert code_of(record) == code


@pytest.mark.parametrize(("device", "kind"), [("__g1", "gcm"), ("__2ea4", "apns"), ("-v1", "apns"), ("-h1", "fcm")])
def test_tokens_of_devices_that_may_have_them_are_taken(device: str, kind: str) -> None:
    record = read_record(token(objectId=device, tokenData={"id": "a", "type": kind}), index=0, now=NOW, limit=512)
    assert isinstance(record, ProfileRecord)


def test_a_token_is_kept_but_stays_out_of_the_profile_log() -> None:
    record = read_record(token(), index=0, now=NOW, limit=512)
    assert isinstance(record, ProfileRecord)
    assert (record.device, record.update.properties, record.update.logged) == ("__d1", {"push_token": "fcm:abc"}, False)
