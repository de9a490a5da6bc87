"""People who are deleted: their records, payloads and held ids go, and every count stays true."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext

from events.erasure import delete_people, unfinished
from events.models import Erased, Event, Person, ProfileChange
from exports import actions, erasure, ledger_check, rejected
from exports.delivery import lease, worker
from exports.models import Held, Rejected, Run, Shard, Status
from exports.spec import ExportSpec
from exports_portal.common import heartbeat
from tests.exports.conftest import ANN, deliver, now, opened, people, send, skip_waits, today, unique
from tests.exports.transactions import open_writer
from tests.factories import ProjectFactory

GONE = {"reason": "deleted", "payload": "", "field": ""}


def delete(project, *identities, devices=()):
    return delete_people(project=project, identities=identities, devices=devices, by=ANN, now=now())


def erase_all():
    """Both passes, as if the time between them had passed."""
    erasure.go_on(now=now())
    erasure.go_on(now=now() + timedelta(minutes=3))
    assert unfinished() == []


def differences():
    with ledger_check.one_snapshot():
        return [text for report in ledger_check.check() for text in report.differences]


@pytest.fixture
def recurring(project, integration):
    spec = ExportSpec(integration.pk, "recurring", every_hours=24, start_date=today(project) - timedelta(days=1))
    return actions.create_export(project=project, spec=spec, by=ANN, now=now())


def test_events_and_updates_of_deleted_people_go_and_all_runs_still_add_up(
    project, capture, capture_profiles, one_time, recurring, profile_export, sandbox, capsys
):
    capture(70)
    capture_profiles(people(7))
    exports = [one_time(), recurring, profile_export(), profile_export("recurring")]
    for export in exports:
        deliver(export)
    read = {run.pk: run.read for run in Run.objects.with_counts()}
    assert delete(project, "person-0001", "person-0002", "nobody") == 2
    assert not Person.objects.filter(identity__in=["person-0001", "person-0002"]).exists()
    assert differences() == []
    erase_all()
    assert Event.objects.count() == 50
    assert ProfileChange.objects.count() == 5
    assert Erased.objects.count() == 20 + 2 + 2
    assert {run.pk: run.read for run in Run.objects.with_counts()} == read
    assert sorted(read.values()) == [7, 7, 70, 70]
    assert differences() == []
    with ledger_check.one_snapshot():
        assert sorted(report.erased for report in ledger_check.check()) == [2, 2, 20, 20]
    again = deliver(one_time())
    assert again.delivered == 50
    assert differences() == []


def test_a_row_that_is_lost_is_still_a_difference_beside_erased_ones(project, capture, one_time, sandbox):
    capture(70)
    deliver(one_time())
    delete(project, "person-0001")
    erase_all()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exports_shard SET read = read + 1, delivered = delivered + 1")
    assert len(differences()) == 1


def test_a_run_that_is_half_read_adds_up_before_and_after(project, capture, one_time, sandbox):
    capture(3000)
    sandbox.faults({"kind": "status", "status": 503, "count": 1, "contains": '"Number": 2500'})
    export = deliver(one_time(), slices=1)
    assert 0 < export.read < 3000
    delete(project, "person-0003")
    erase_all()
    assert differences() == []
    skip_waits(export)
    export = deliver(export)
    assert (export.status, export.read) == (Status.DONE, Run.objects.with_counts().get().delivered)
    assert differences() == []


def test_rejected_records_lose_their_payload_and_stay_counted(project, capture, one_time, sandbox):
    capture(3, identity="abc")  # too short an id
    capture(2, identity="xy")
    export = deliver(one_time())
    hers, his = (Person.objects.get(identity=name).clevertap_id for name in ("abc", "xy"))
    assert Rejected.objects.filter(payload__contains=hers).count() == 3
    rejected.resend(export=export, reason=Rejected.objects.first().reason, by=ANN, now=now())
    delete(project, "abc")
    erase_all()
    gone = Rejected.objects.filter(reason="deleted")
    assert list(gone.values("reason", "payload", "field")) == [GONE] * 3
    assert set(gone.values_list("resend_at", flat=True)) == {None}
    assert Rejected.objects.filter(payload__contains=his).count() == 2
    assert differences() == []
    rejected.resend(export=export, reason="deleted", by=ANN, now=now())
    work_resent(export)
    assert list(gone.values("reason", "payload", "field")) == [GONE] * 3
    assert differences() == []


def work_resent(export):
    for shard in Shard.objects.filter(run__export=export):
        worker.work(shard.pk)


def test_held_records_become_rejected_ones_and_the_run_ends(project, capture, one_time, sandbox):
    sandbox.faults({"kind": "throttle", "users": ["person-0001", "person-0002"]})
    capture(70)
    export = deliver(one_time(), slices=1)
    assert (export.held, export.delivered) == (20, 50)
    delete(project, "person-0001")
    erasure.go_on(now=now())
    assert Held.objects.count() == 10
    assert not Held.objects.filter(ids__contains=["u:person-0001"]).exists()
    delete(project, "person-0002")
    erase_all()
    export = deliver(export)
    assert (export.status, export.held, export.rejected, export.delivered) == (Status.DONE, 0, 20, 50)
    assert list(Rejected.objects.values("reason", "payload", "field").distinct()) == [GONE]
    assert differences() == []


def test_held_records_of_a_stopped_export_go_too(project, capture, one_time, sandbox):
    sandbox.faults({"kind": "throttle", "users": ["person-0001"]})
    capture(70)
    export = deliver(one_time(), slices=1)
    actions.stop_export(export=export, by=ANN, now=now())
    delete(project, "person-0001")
    erase_all()
    assert not Held.objects.exists()
    export.refresh_from_db()
    assert export.status == Status.STOPPED
    assert differences() == []


def test_held_records_that_a_worker_may_be_sending_are_left_until_it_is_done(project, capture, one_time, sandbox):
    sandbox.faults({"kind": "throttle", "users": ["person-0001"]})
    capture(70)
    export = deliver(one_time(), slices=1)
    skip_waits(export)
    delete(project, "person-0001")
    held = lease.claim(Shard.objects.get().pk)
    assert held is not None
    erasure.go_on(now=now())
    erasure.go_on(now=now() + timedelta(minutes=3))
    assert Held.objects.count() == 10
    assert len(unfinished()) == 1
    held.release()
    erasure.go_on(now=now() + timedelta(minutes=4))
    assert (Held.objects.count(), unfinished()) == (0, [])
    assert differences() == []


def test_what_an_upload_and_a_batch_under_way_still_wrote_goes_with_the_second_pass(
    project, capture, one_time, sandbox
):
    capture(3, identity="abc")
    person = Person.objects.get()
    delete(project, "abc")
    erasure.go_on(now=now())
    capture(2, identity="abc")
    Event.objects.update(person_id=person.pk)  # as by an upload that had looked before
    deliver(one_time())
    assert Rejected.objects.exclude(payload="").count() == 2
    erasure.go_on(now=now() + timedelta(minutes=1))
    assert Event.objects.count() == 2
    erasure.go_on(now=now() + timedelta(minutes=3))
    assert (Event.objects.count(), unfinished()) == (0, [])
    assert list(Rejected.objects.values("reason", "payload", "field")) == [GONE] * 2
    assert differences() == []


def test_many_erasures_of_a_project_read_its_logs_once(project, capture, capture_profiles, sandbox):
    capture(70)
    capture_profiles(people(7))
    for number in range(1, 5):
        delete(project, f"person-000{number}")
    with CaptureQueriesContext(connection) as asked:
        erase_all()
    reads = [query["sql"] for query in asked if query["sql"].startswith("SELECT") and '"person_id" IN' in query["sql"]]
    assert len(reads) == 2 * 2  # two logs, two passes
    assert Event.objects.count() == 30
    assert sorted(row["rows"] for row in Erased.objects.values("erasure").annotate(rows=Count("pk"))) == [12] * 4
    assert differences() == []


def test_erasures_go_on_in_one_process_at_a_time_beside_deliveries(project, capture):
    with heartbeat.connect() as redis:
        waiting = {queue: redis.llen(queue) for queue in ("bulk", "purge")}
        capture(3, identity="asha-42")
        delete(project, "asha-42")
        rung = {queue: redis.llen(queue) - waiting[queue] for queue in waiting}
    assert rung == {"bulk": 0, "purge": 1}
    with open_writer() as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [erasure.LOCK])
        erasure.go_on(now=now())
        assert Event.objects.count() == 3
    erasure.go_on(now=now())
    assert Event.objects.count() == 0


def test_the_anonymous_profiles_that_became_a_person_go_with_it(project, integration, sandbox):
    send(
        project,
        opened("1", objectId="__device-1"),
        opened("2", identity="asha-42"),
        opened("3", identity="asha-42", objectId="__device-1"),
        opened("4", identity="ravi-43"),
    )
    assert delete(project, "asha-42") == 1
    erase_all()
    assert [event.name.name for event in Event.objects.select_related("name")] == ["4"]
    assert Person.objects.get().identity == "ravi-43"


def test_whoever_comes_back_is_somebody_new(project, capture, one_time, sandbox):
    capture(3, identity="asha-42")
    before = Person.objects.get().pk
    delete(project, "asha-42")
    capture(2, identity="asha-42")
    erase_all()
    assert Person.objects.get().pk != before
    assert Event.objects.count() == 2
    deliver(one_time())
    assert len(unique(sandbox)) == 2


def test_other_projects_keep_theirs(project, capture):
    capture(3, identity="asha-42")
    assert delete(ProjectFactory(), "asha-42") == 0
    assert Event.objects.count() == 3
