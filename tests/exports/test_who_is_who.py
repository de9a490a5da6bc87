"""What exports send as user_id and device_id when devices log in and people are found by their email."""

from tests.exports.conftest import deliver, opened, send, unique


def test_user_ids_follow_a_login_and_device_ids_stay(project, one_time, sandbox):
    send(
        project,
        opened("1", objectId="__device-1"),
        opened("2", identity="asha-42", objectId="__device-1"),
        opened("3", objectId="__device-1"),
        opened("4", objectId="__device-2"),
        opened("5", identity="asha-42", objectId="__device-2"),
        opened("6", objectId="__device-2"),
        opened("7", identity="asha-42"),
    )
    deliver(one_time())
    sent = {event["event_type"]: (event.get("user_id"), event["device_id"]) for event in unique(sandbox)}
    assert sent == {
        "1": (None, "__device-1"),
        "2": ("asha-42", "__device-1"),
        "3": ("asha-42", "__device-1"),
        "4": (None, "__device-2"),
        "5": ("asha-42", "__device-2"),
        "6": ("asha-42", "__device-2"),
        "7": ("asha-42", "__device-1"),
    }


def test_who_is_named_by_email_is_the_same_user(project, one_time, sandbox):
    send(
        project,
        {"type": "profile", "identity": "asha-42", "profileData": {"Email": "asha@example.com"}},
        opened("1", identity="asha@example.com", objectId="__device-9"),
    )
    deliver(one_time())
    (event,) = unique(sandbox)
    assert (event["user_id"], event["device_id"]) == ("asha-42", "__device-9")


def test_a_login_sends_what_the_profile_gained_and_nothing_of_the_one_that_ended(
    project, profile_export, capture_profiles, sandbox
):
    capture_profiles({"asha-42": {"City": "Mumbai"}})
    send(project, {"type": "profile", "objectId": "__device-2", "profileData": {"City": "Pune", "Language": "mr"}})
    deliver(profile_export("recurring"))
    send(project, opened("Login", identity="asha-42", objectId="__device-2"))
    deliver(profile_export("recurring"))
    sent = [(one.get("user_id"), one["user_properties"]) for one in unique(sandbox)]
    assert sent == [
        ("asha-42", {"$set": {"City": "Mumbai"}}),
        (None, {"$set": {"City": "Pune", "Language": "mr"}}),
        ("asha-42", {"$set": {"Language": "mr"}}),
    ]
    before = len(unique(sandbox))
    deliver(profile_export())
    once = unique(sandbox)[before:]
    assert [(one.get("user_id"), one["user_properties"]) for one in once] == [
        ("asha-42", {"$set": {"City": "Mumbai", "Language": "mr"}}),
        (None, {"$set": {}}),
    ]
