"""What changes under a running export: its project's zone, a partner that refuses for days, many exports at once."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from django.db import connection
from django.test.utils import CaptureQueriesContext

from exports import runs, tick
from exports.models import Export, Status
from exports_portal.common.models import AuditEntry
from projects.actions import edit_project
from projects.models import Project
from tests.exports.conftest import ANN, deliver, now, skip_waits, work_once


def test_boundaries_follow_the_projects_new_zone_and_no_event_is_lost_or_doubled(capture, recurring, sandbox, project):
    capture(3)
    export = deliver(recurring(every_hours=24))
    capture(2)
    edit_project(project=project, name="Shop", timezone="Pacific/Auckland", by=ANN, now=now())
    tick.tick(now=now())
    export.refresh_from_db()
    assert export.next_run_at.astimezone(project.tz).hour == 0
    tick.tick(now=export.next_run_at)
    assert deliver(export).delivered == 5
    assert len(sandbox.events()) == 5


def test_a_start_still_to_come_moves_with_the_zone(recurring, project):
    export = recurring(days_back=-2, every_hours=24)
    edit_project(project=project, name="Shop", timezone="America/New_York", by=ANN, now=now())
    tick.tick(now=now())
    export.refresh_from_db()
    assert export.captured_from.astimezone(project.tz).hour == 0
    assert export.next_run_at == export.captured_from + timedelta(days=1)


def test_a_name_from_an_old_form_hides_no_change_of_the_zone(recurring, project):
    export = recurring(days_back=-2, every_hours=24)
    old = Project.objects.get(pk=project.pk)
    before = old.timezone
    edit_project(project=project, name="Shop", timezone="America/New_York", by=ANN, now=now())
    tick.tick(now=now())
    edit_project(project=old, name="Chai", timezone=before, by=ANN, now=now())
    tick.tick(now=now())
    export.refresh_from_db()
    assert export.next_run_at.astimezone(ZoneInfo(before)).hour == 0
    assert AuditEntry.objects.filter(action="project.edit").latest("pk").before["timezone"] == "America/New_York"


def test_three_days_without_an_accepted_request_stop_the_export_with_its_reason(capture, one_time, sandbox):
    capture(3)
    export = one_time()
    sandbox.faults({"kind": "status", "status": 503})
    deliver(export, slices=2)
    tick.tick(now=now() + timedelta(days=2, hours=23))
    export.refresh_from_db()
    assert export.status == Status.RUNNING
    tick.tick(now=now() + timedelta(days=3, minutes=1))
    export.refresh_from_db()
    assert export.status == Status.STOPPED
    assert "accepted no request for 3 days" in export.stop_reason
    assert "503" in export.stop_reason


def test_one_accepted_request_begins_the_three_days_anew(capture, one_time, sandbox):
    capture(3)
    export = one_time()
    sandbox.faults({"kind": "status", "status": 503, "count": 1})
    deliver(export, slices=1)
    skip_waits(export)
    work_once(export)
    tick.tick(now=now() + timedelta(days=4))
    export.refresh_from_db()
    assert (export.status, export.failing_since) == (Status.DONE, None)


def test_many_exports_due_at_once_cost_as_many_queries_as_two(recurring, project):
    first = recurring(days_back=-1)
    costs = []
    for count in (2, 40):
        Export.objects.bulk_create(_copy(first, next_run_at=now()) for _ in range(count))
        with CaptureQueriesContext(connection) as queries:
            assert runs.create_due(now=now()) == count
        costs.append(len(queries))
    assert costs[0] == costs[1]


def _copy(export: Export, **changes) -> Export:
    values = {field.attname: getattr(export, field.attname) for field in Export._meta.fields if not field.primary_key}
    return Export(**{**values, **changes})
