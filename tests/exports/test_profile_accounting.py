"""Exports of user profiles: skipped, rejected, held, recounted, previewed; and what may be asked for."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from events.ingest import ingest
from events.models import Person, ProfileChange
from exports import actions, preview, rejected, tick
from exports.delivery import worker
from exports.models import Export, Rejected, Shard, Skipped
from exports.spec import ExportSpec
from exports_portal.common.errors import Invalid
from partners.actions import edit_integration
from tests.exports.conftest import ANN, by_user, deliver, flow, now, people, skip_waits, unique, work_once


def run_now(export: Export) -> Export:
    actions.run_now(export=export, by=ANN, now=now())
    return deliver(export)


def test_who_has_no_usable_id_is_skipped_or_rejected_and_all_is_accounted_for(
    project, integration, capture_profiles, profile_export, sandbox
):
    edit_integration(integration=integration, nickname="G", values={"device_id_mapping": "none"}, by=ANN, now=now())
    anonymous = {"type": "profile", "objectId": "__device-0001", "profileData": {"City": "Pune"}}
    assert not ingest(project=project, records=[anonymous], now=now()).refused
    capture_profiles({"abc": {"City": "Pune"}, "asha-1": {"City": "Pune"}})
    for frequency in ("one_time", "recurring"):
        export = deliver(profile_export(frequency))
        assert (export.read, export.delivered, export.rejected, export.skipped) == (3, 1, 1, 1)
    assert [shard.skip_reasons for shard in Shard.objects.all()] == [{"no_identifier": 1}] * 2
    listed = Skipped.objects.order_by("pk").values_list("record_id", flat=True)
    assert list(listed) == [
        Person.objects.get(identity=None).pk,
        ProfileChange.objects.get(identity=None).pk,
    ]
    assert not sandbox.events()[0]["event"].get("device_id")


def test_identifiers_follow_the_mapping_and_then_the_exports_priority(capture_profiles, profile_export, sandbox):
    capture_profiles({"abc": {"Email": "abc@example.com", "Phone": "+919876543210"}})
    deliver(profile_export(identifier_priority=("phone", "email")))
    deliver(profile_export(identifier_priority=("email",)))
    assert [event["user_id"] for event in unique(sandbox)] == ["+919876543210", "abc@example.com"]


@pytest.mark.parametrize("frequency", ["one_time", "recurring"])
def test_held_profiles_go_when_their_wait_is_over(capture_profiles, profile_export, sandbox, frequency):
    capture_profiles(people(5))
    sandbox.faults({"kind": "throttle", "users": ["person-0003"], "count": 1})
    export = profile_export(frequency)
    tick.tick(now=now())
    work_once(export)
    held = Export.objects.with_counts().get(pk=export.pk)
    assert (held.delivered, held.held) == (4, 1)
    skip_waits(export)
    export = deliver(export)
    assert (export.delivered, export.held) == (5, 0)
    assert by_user(sandbox)["person-0003"]["user_properties"] == {"$set": {"Number": 3}}


@pytest.mark.parametrize("frequency", ["one_time", "recurring"])
def test_rejected_profiles_are_sent_again_with_the_same_ids(capture_profiles, profile_export, sandbox, frequency):
    capture_profiles(people(3))
    sandbox.faults({"kind": "refuse_events", "user_id": "person-0001"})
    export = deliver(profile_export(frequency))
    row = Rejected.objects.get()
    assert (export.delivered, export.rejected) == (2, 1)
    sandbox.clear_faults()
    rejected.resend(export=export, ids=[row.pk], by=ANN, now=now())
    for shard in Shard.objects.filter(resend_at__lte=now()):
        worker.work(shard.pk)
    export = Export.objects.with_counts().get(pk=export.pk)
    assert (export.delivered, export.rejected) == (3, 0)
    assert by_user(sandbox)["person-0001"]["insert_id"] in row.payload


def test_a_profile_that_is_nested_too_deep_within_its_operation_is_rejected(capture_profiles, profile_export, sandbox):
    deep: list = []
    for _ in range(37):
        deep = [deep]
    capture_profiles({"deep-1": {"Deep": deep}, "deep-2": {"Deep": [deep]}})
    export = deliver(profile_export())
    assert (export.delivered, export.rejected) == (1, 1)
    assert Rejected.objects.get().field == "user_properties"


def test_check_ledger_recounts_profile_runs(capture_profiles, profile_export, sandbox, settings, capsys):
    settings.PORTAL_MAX_SHARDS, settings.PORTAL_ROWS_PER_SHARD = 2, 10
    capture_profiles({**people(40), "abc": {"City": "Pune"}})
    deliver(profile_export())
    recurring = deliver(profile_export("recurring"))
    live = flow(profile_export("live"))
    capture_profiles(people(7, City="Pune"))
    run_now(recurring)
    flow(live)
    call_command("check_ledger")
    assert "all of them agree with the log" in capsys.readouterr().out
    Person.objects.filter(identity="person-0007").delete()
    Shard.objects.filter(run__export=recurring, index=0, run__sequence=1).update(cursor_id=0, cursor_tx_id=0)
    with pytest.raises(SystemExit):
        call_command("check_ledger")
    assert capsys.readouterr().out.count("records up to its cursor") == 2


def test_a_half_read_run_over_people_agrees_up_to_its_cursor(capture_profiles, profile_export, sandbox, capsys):
    capture_profiles(people(3000))
    sandbox.faults({"kind": "status", "status": 503, "contains": '"Number":2500'})
    deliver(profile_export(), slices=1)
    assert 0 < Shard.objects.get().read < 3000
    capture_profiles({"newcomer-1": {}})
    call_command("check_ledger")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"events": "engagement"}, "events"),
        ({"events": "selected", "selected_events": ("Charged",)}, "events"),
        ({"selected_events": ("Charged",)}, "selected_events"),
        ({"every_hours": 4}, "every_hours"),
        ({"frequency": "live", "date_from": "today"}, "date_from"),
    ],
    ids=str,
)
def test_what_belongs_to_events_is_refused_at_its_field(project, integration, changes, field):
    spec = {"integration_id": integration.pk, "frequency": "one_time", "type": "user_profiles", **changes}
    with pytest.raises(Invalid) as refused:
        actions.create_export(project=project, spec=ExportSpec(**spec), by=ANN, now=now())
    assert field in refused.value.errors


@pytest.mark.parametrize(("old", "new"), [("user_profiles", "events"), ("events", "user_profiles")])
def test_events_and_profiles_never_turn_into_each_other(project, integration, old, new):
    spec = ExportSpec(integration.pk, "live", type=old)
    export = actions.create_export(project=project, spec=spec, by=ANN, now=now())
    with pytest.raises(Invalid, match="You cannot change the export from User Profile to Event"):
        actions.edit_export(
            export=export, spec=ExportSpec(**{**vars(spec), "type": new}), version=None, by=ANN, now=now()
        )


@pytest.mark.parametrize(
    "nonsense", [{"events": "engagement"}, {"date_from": "2026-11-01"}, {"selected_events": ["Charged"]}], ids=str
)
def test_the_database_refuses_nonsense(profile_export, nonsense):
    export = profile_export()
    with pytest.raises(IntegrityError, match="profiles_have_no_events_nor_dates"), transaction.atomic():
        Export.objects.filter(pk=export.pk).update(**nonsense)


def test_ten_real_records_and_the_number_of_people(capture_profiles, profile_export, project, integration):
    capture_profiles(people(12, City="Pune"))
    spec = ExportSpec(integration.pk, "one_time", type="user_profiles", excluded_properties=("City",))
    shown = preview.preview(project=project, spec=spec, now=now())
    assert (shown.estimate, len(shown.records)) == (12, 10)
    first = shown.records[0]
    assert (first.event_name, first.verdict) == ("User profile", "sent")
    assert first.payload["event_type"] == "$identify"
    assert set(first.payload["user_properties"]["$set"]) == {"Number"}


def test_of_a_saved_export_it_is_exactly_what_is_sent(capture_profiles, profile_export, sandbox):
    capture_profiles(people(2))
    export = profile_export()
    shown = [record.payload for record in preview.of_export(export, now=now()).records]
    deliver(export)
    assert shown == unique(sandbox)


@pytest.mark.parametrize("frequency", ["recurring", "live"])
def test_of_one_that_goes_on_it_shows_the_changes_of_the_last_day(capture_profiles, profile_export, frequency):
    capture_profiles(people(3))
    ProfileChange.objects.update(received_at=now() - timedelta(days=2))
    capture_profiles({"asha-1": {"City": None}, "abc": {"City": "Pune"}})
    shown = preview.of_export(profile_export(frequency), now=now())
    assert (shown.estimate, [record.verdict for record in shown.all]) == (2, ["sent", "rejected"])
    assert shown.records[0].payload["user_properties"] == {"$unset": {"City": "-"}}
