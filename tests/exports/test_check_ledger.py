"""manage.py check_ledger finds every kind of damage, and nothing in a portal that is well."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from exports import actions, again
from exports.models import Run, Shard
from exports.spec import ExportSpec
from tests.exports.conftest import ANN, check, deliver, now, skip_waits, today, work_once


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def recurring(project, integration):
    spec = ExportSpec(integration.pk, "recurring", every_hours=24, start_date=today(project) - timedelta(days=1))
    return actions.create_export(project=project, spec=spec, by=ANN, now=now())


@pytest.fixture
def delivered(capture, one_time, sandbox, settings):
    """An export in two shards with delivered, rejected and skipped records."""
    settings.PORTAL_MAX_SHARDS, settings.PORTAL_ROWS_PER_SHARD = 2, 10
    capture(40)
    capture(3, identity="abc")  # too short an id
    return deliver(one_time())


def test_a_portal_that_is_well_has_no_differences(delivered, capture, recurring, integration, project, sandbox, capsys):
    sandbox.faults({"kind": "throttle", "users": ["person-0001"], "count": 1})
    deliver(recurring, slices=1)
    capture(5)
    live = actions.create_export(project=project, spec=ExportSpec(integration.pk, "live"), by=ANN, now=now())
    work_once(live)
    capture(4)
    work_once(live)
    actions.stop_export(export=recurring, by=ANN, now=now())
    goes_on = again.continue_export(export=recurring, by=ANN, now=now())
    skip_waits(goes_on)
    deliver(goes_on)
    code, printed = check(capsys)
    assert (code, printed) == (0, printed)
    assert "all of them agree with the log" in printed


def test_a_run_that_is_half_read_agrees_up_to_its_cursor(capture, one_time, sandbox, capsys):
    capture(3000)
    sandbox.faults({"kind": "status", "status": 503, "contains": '"Number": 2500'})
    deliver(one_time(), slices=1)
    assert 0 < Shard.objects.get().read < 3000
    assert check(capsys)[0] == 0


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("UPDATE exports_shard SET read = read + 1, delivered = delivered + 1 WHERE index = 0", "the ledger has read"),
        ("DELETE FROM events_event WHERE id = (SELECT min(id) FROM events_event)", "the log has"),
        ("DELETE FROM exports_rejected WHERE id = (SELECT min(id) FROM exports_rejected)", "counted as rejected"),
        ("UPDATE exports_shard SET held = held + 1, delivered = delivered - 1 WHERE index = 0", "counted as held"),
        ("UPDATE exports_shard SET skipped = 1, delivered = delivered - 1 WHERE index = 1", "have a reason"),
        ("UPDATE exports_shard SET of = 3", "do not share all lanes"),
        ("UPDATE exports_shard SET reading = true", "has not read to the end"),
    ],
)
def test_each_kind_of_damage_is_named(delivered, capsys, damage, sentence):
    assert check(capsys)[0] == 0
    sql(damage)
    code, printed = check(capsys)
    assert code == 1
    assert sentence in printed
    assert f"run {Run.objects.get().pk} of export {delivered.pk}, DONE" in printed


def test_windows_that_do_not_meet_are_named(capture, recurring, sandbox, capsys):
    capture(3)
    deliver(recurring)
    actions.run_now(export=recurring, by=ANN, now=now())
    deliver(recurring)
    assert check(capsys)[0] == 0
    sql("UPDATE exports_run SET until_tx_id = until_tx_id + 1 WHERE sequence = 1")
    code, printed = check(capsys)
    assert code == 1
    assert "the next run begins at" in printed


def test_one_run_can_be_checked_and_machines_get_json(delivered, capsys):
    run = Run.objects.get()
    sql("UPDATE exports_shard SET read = read + 1, delivered = delivered + 1 WHERE index = 0")
    code, printed = check(capsys, "--run", str(run.pk), "--json")
    found = json.loads(printed)
    assert (code, found["runs"], found["different"]) == (1, 1, 1)
    assert found["reports"][0]["read"] == found["reports"][0]["counted"] + 1
    with pytest.raises(CommandError, match="There is no run"):
        call_command("check_ledger", "--run", "999999")
