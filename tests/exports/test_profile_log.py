"""Recurring and live exports of user profiles read the profile log, as those of events read the event log."""

from events.ingest import ingest
from events.models import ProfileChange
from exports import actions, again, tick
from exports.models import Export, Run, Shard, Status
from exports.spec import ExportSpec, spec_of
from tests.exports.conftest import ANN, by_user, deliver, flow, now, people, today, unique


def run_now(export: Export) -> Export:
    actions.run_now(export=export, by=ANN, now=now())
    return deliver(export)


def test_changed_keys_are_set_and_removed_ones_unset(capture_profiles, profile_export, sandbox):
    capture_profiles({"asha-1": {"Tags": ["a", "b"], "Since": "$D_1700000000", "Ü/ä": "Größe 🛒", "email": None}})
    capture_profiles({"ravi-1": {"Plan": None}})
    assert deliver(profile_export("recurring")).delivered == 2
    sent = by_user(sandbox)
    assert sent["asha-1"]["user_properties"] == {
        "$set": {"Tags": ["a", "b"], "Since": "2023-11-14T22:13:20Z", "Ü/ä": "Größe 🛒"},
        "$unset": {"Email": "-"},
    }
    assert sent["ravi-1"]["user_properties"] == {"$unset": {"Plan": "-"}}
    change = ProfileChange.objects.get(identity="asha-1")
    assert sent["asha-1"]["insert_id"] == str(change.uid)


def test_options_of_the_export_apply(capture_profiles, profile_export, sandbox):
    capture_profiles({"asha-1": {"Home Town": "Pune", "Secret": "x", "Phone": None, "Old / Plan": None}})
    deliver(profile_export("recurring", excluded_properties=("Secret", "Phone"), hyphenate_names=True))
    assert by_user(sandbox)["asha-1"]["user_properties"] == {
        "$set": {"Home-Town": "Pune"},
        "$unset": {"Old---Plan": "-"},
    }


def test_windows_own_each_change_once_and_events_never(capture, capture_profiles, profile_export, sandbox):
    capture_profiles(people(10))
    export = deliver(profile_export("recurring"))
    capture_profiles(people(4, City="Pune"))
    capture(5)
    export = run_now(export)
    assert (export.status, export.delivered) == (Status.PENDING, 14)
    first, second = Run.objects.with_counts().order_by("sequence")
    assert (first.read, second.read, second.from_tx_id) == (10, 4, first.until_tx_id)
    assert len(sandbox.events()) == len(unique(sandbox)) == 14


def test_a_persons_changes_arrive_in_order_whatever_the_shard(capture_profiles, profile_export, sandbox, settings):
    settings.PORTAL_MAX_SHARDS, settings.PORTAL_ROWS_PER_SHARD = 3, 10
    for step in range(6):
        capture_profiles(people(20, Step=step))
    export = deliver(profile_export("recurring"))
    assert (Shard.objects.count(), export.delivered) == (3, 120)
    steps: dict = {}
    for event in unique(sandbox):
        steps.setdefault(event["user_id"], []).append(event["user_properties"]["$set"]["Step"])
    assert all(found == list(range(6)) for found in steps.values())


def test_an_event_and_a_profile_update_of_one_moment_are_no_repeats(project, integration, profile_export, sandbox):
    records = [
        {"type": "profile", "identity": "asha-1", "profileData": {"City": "Pune"}},
        {"type": "event", "identity": "asha-1", "evtName": "Opened"},
    ]
    spec = ExportSpec(integration.pk, "live")
    events = flow(actions.create_export(project=project, spec=spec, by=ANN, now=now()))
    profiles = flow(profile_export("live"))
    assert not ingest(project=project, records=records, now=now()).refused
    assert (flow(events).delivered, flow(profiles).delivered) == (1, 1)
    assert [record["duplicate"] for record in sandbox.events()] == [False, False]


def test_a_live_export_is_woken_by_a_profile_and_not_by_an_event(capture, capture_profiles, profile_export, sandbox):
    capture_profiles(people(3))
    export = flow(profile_export("live"))
    capture(5)
    assert tick.wake(now=now(), project_id=export.project_id) == 0
    capture_profiles(people(2, City="Pune"))
    assert tick.wake(now=now(), project_id=export.project_id) == 1
    assert (flow(export).delivered, tick.wake(now=now())) == (2, 0)


def test_an_events_export_sleeps_through_profiles(capture_profiles, project, integration):
    spec = ExportSpec(integration.pk, "live")
    flow(actions.create_export(project=project, spec=spec, by=ANN, now=now()))
    capture_profiles(people(2))
    assert tick.wake(now=now()) == 0


def test_live_becomes_recurring_without_a_gap_and_a_stopped_one_goes_on(
    capture_profiles, profile_export, sandbox, project
):
    export = flow(profile_export("live"))
    capture_profiles(people(2))
    changes = {"frequency": "recurring", "every_hours": 24, "start_date": today(project)}
    spec = ExportSpec(**{**vars(spec_of(export)), **changes})
    export = flow(actions.edit_export(export=export, spec=spec, version=None, by=ANN, now=now()))
    capture_profiles(people(3, City="Pune"))
    actions.stop_export(export=export, by=ANN, now=now())
    goes_on = again.continue_export(export=export, by=ANN, now=now())
    Export.objects.filter(pk=goes_on.pk).update(next_run_at=now())
    flow(goes_on)
    assert len(unique(sandbox)) == len(sandbox.events()) == 5


def test_operators_arrive_as_the_values_that_they_made(capture_profiles, profile_export, sandbox):
    capture_profiles({"asha-1": {"Tags": ["a", "b"], "Points": 5, "Old": ["x"]}})
    operators = {"Tags": {"$add": ["c"]}, "Points": {"$incr": 2}, "Old": {"$remove": ["x"]}, "Plan": {"$delete": 1}}
    capture_profiles({"asha-1": operators})
    assert deliver(profile_export("recurring")).delivered == 2
    assert by_user(sandbox)["asha-1"]["user_properties"] == {
        "$set": {"Tags": ["a", "b", "c"], "Points": 7},
        "$unset": {"Old": "-", "Plan": "-"},
    }
