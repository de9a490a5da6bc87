"""One-time exports of user profiles: all people once, as they are when they are read."""

from datetime import timedelta

from events.ingest import ingest
from events.models import Person
from exports import again
from exports.models import Shard, Status
from tests.exports.conftest import ANN, by_user, deliver, now, people, skip_waits, today, unique
from tests.exports.transactions import open_writer

ASHA = {"Name": "Asha Rao", "Email": "asha@example.com", "City": "Pune", "Visits": 3, "Plus": True}


def test_each_person_is_sent_as_they_are_now(capture_profiles, profile_export, sandbox):
    capture_profiles({"asha-1": {**ASHA, "City": "Mumbai", "Old": 1}, "ravi-1": {"phone": "+919876543210"}})
    capture_profiles({"asha-1": {"City": "Pune", "Old": None}})
    export = deliver(profile_export())
    assert (export.status, export.read, export.delivered) == (Status.DONE, 2, 2)
    sent = by_user(sandbox)
    assert sent["asha-1"]["user_properties"] == {"$set": ASHA}
    assert sent["ravi-1"]["user_properties"] == {"$set": {"Phone": "+919876543210"}}
    asha = Person.objects.get(identity="asha-1")
    assert sent["asha-1"]["device_id"] == asha.clevertap_id
    assert sent["asha-1"]["time"] == int(asha.changed_at.timestamp() * 1_000)
    assert {event["event_type"] for event in sent.values()} == {"$identify"}


def test_history_options_of_events_never_stand_on_a_profile(capture_profiles, profile_export, sandbox):
    capture_profiles(people(1))
    deliver(profile_export())
    (event,) = unique(sandbox)
    assert set(event) == {"event_type", "time", "user_id", "device_id", "insert_id", "user_properties"}


def test_people_without_a_profile_are_people_too(capture, profile_export, sandbox):
    capture(3, people=3)
    export = deliver(profile_export())
    assert (export.read, export.delivered) == (3, 3)
    assert {str(event["user_properties"]) for event in unique(sandbox)} == {"{'$set': {}}"}


def test_who_comes_while_it_runs_is_left_out_and_who_changes_is_sent_as_they_are(
    capture_profiles, profile_export, sandbox, project
):
    capture_profiles(people(5000, City="Pune"))
    sandbox.faults({"kind": "status", "status": 503, "contains": '"Number":2500'})
    export = deliver(profile_export(), slices=1)
    assert 0 < export.delivered < 5000
    capture_profiles({f"newcomer-{number}": {"Number": number} for number in range(50)})
    capture_profiles({"person-4999": {"City": "Mumbai"}})
    sandbox.clear_faults()
    skip_waits(export)
    export = deliver(export)
    assert (export.status, export.read, export.delivered) == (Status.DONE, 5000, 5000)
    sent = by_user(sandbox)
    assert set(sent) == set(people(5000))
    assert sent["person-4999"]["user_properties"]["$set"]["City"] == "Mumbai"
    assert len({event["insert_id"] for event in unique(sandbox)}) == 5000


def test_who_was_being_written_at_the_click_is_left_out_and_the_run_waits_for_older_ones(
    capture_profiles, profile_export, sandbox
):
    with open_writer() as earlier:
        capture_profiles(people(2))
        export = profile_export()
        capture_profiles({"later-1": {"City": "Pune"}})
        deliver(export, slices=2)
        assert not sandbox.events()
        earlier.commit()
    skip_waits(export)
    assert deliver(export).delivered == 2


def test_shards_share_people_without_overlap(capture_profiles, profile_export, sandbox, settings):
    settings.PORTAL_MAX_SHARDS, settings.PORTAL_ROWS_PER_SHARD = 4, 10
    capture_profiles(people(80))
    export = deliver(profile_export())
    assert Shard.objects.count() == 4
    assert all(Shard.objects.values_list("delivered", flat=True))
    assert (export.delivered, len(by_user(sandbox))) == (80, 80)


def test_what_is_sent_twice_has_the_same_ids_and_another_export_has_others(capture_profiles, profile_export, sandbox):
    capture_profiles(people(3))
    sandbox.faults({"kind": "close", "accept": True, "count": 1})
    export = profile_export()
    deliver(export, slices=1)
    skip_waits(export)
    assert deliver(export).delivered == 3
    assert [record["duplicate"] for record in sandbox.events()] == [False] * 3 + [True] * 3
    deliver(profile_export())
    assert len(unique(sandbox)) == 6


def test_days_are_taken_but_mean_nothing_and_are_not_kept(capture_profiles, profile_export, sandbox, project):
    capture_profiles(people(2))
    long_ago = today(project) - timedelta(days=400)
    export = deliver(profile_export(date_from=long_ago, date_to=long_ago))
    assert (export.delivered, export.date_from, export.date_to) == (2, None, None)


def test_a_duplicate_sends_all_people_again(capture_profiles, profile_export, sandbox):
    capture_profiles(people(2))
    export = deliver(profile_export())
    capture_profiles({"newcomer-1": {}})
    assert deliver(again.duplicate_export(export=export, by=ANN, now=now())).delivered == 3


def test_no_push_token_and_no_other_projects_people_leave(project, profile_export, capture_profiles, sandbox):
    device = {"objectId": "__device-0001"}
    records = [
        {"type": "profile", "identity": "asha-1", "profileData": {"City": "Pune"}, **device},
        {"type": "token", "tokenData": {"id": "secret-token", "type": "fcm"}, **device},
    ]
    assert not ingest(project=project, records=records, now=now()).refused
    Person.objects.create(
        project=type(project).objects.create(account_id="TST-2", name="Other"),
        clevertap_id="__other-device",
        identity="stranger",
        created_at=now(),
        changed_at=now(),
    )
    export = deliver(profile_export())
    assert (export.delivered, by_user(sandbox)["asha-1"]["user_properties"]) == (1, {"$set": {"City": "Pune"}})
