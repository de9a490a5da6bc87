"""The stream of refused records: what is kept of them, how many, and that nobody who was deleted stays in it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import InterfaceError, connection

from events.erasure import delete_people
from events.models import RefusedUpload
from events.refusals import RefusedRecord
from events.refused_uploads import KEPT, KEPT_OF_REQUEST, RECORD_CHARACTERS, keep, latest
from events.tasks import roll_up
from projects.models import Project
from tests.events.capture import NOW, capture, event, profile, send
from tests.factories import TESTS, ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)


def refuse(project: Project, *records: Any) -> None:
    keep(project=project, refused=[RefusedRecord(0, 512, "Why.", record) for record in records], now=NOW)


def test_an_upload_keeps_what_it_refused_with_code_and_reason(project: Project, headers: dict[str, str]) -> None:
    bad = profile("ravi", Email="nowhere")
    send(headers, {"d": [event(), bad, event(name="")]})
    rows = [(row.code, row.error, row.record) for row in latest(project, 10)]
    assert [code for code, _, _ in rows] == [509, 515]
    assert rows[1][1:] == (
        "Profile data is incorrect. Email is not valid.",
        '{"type": "profile", "identity": "ravi", "profileData": {"Email": "nowhere"}}',
    )


def test_whatever_the_database_says_losing_them_is_no_fault(project: Project) -> None:
    def break_off(*_: Any) -> Any:
        raise InterfaceError("the connection is lost")

    with connection.execute_wrapper(break_off):
        refuse(project, {"n": 1})
    assert latest(project, 10) == []


def test_a_dry_run_and_a_good_upload_keep_nothing(headers: dict[str, str]) -> None:
    send(headers, {"d": [event(name="")]}, url="/1/upload?dryRun=1")
    send(headers, {"d": [event()]})
    assert not RefusedUpload.objects.exists()


def test_odd_records_are_kept_as_text(project: Project) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    refuse(project, "\0\ud83d", {"a": "x" * 10_000}, deep, {1: object()})
    kept = [row.record for row in reversed(latest(project, 10))]
    assert kept[0] == '"\\u0000?"'
    assert len(kept[1]) == RECORD_CHARACTERS
    assert kept[2:] == ["…", "…"]


def test_the_last_ones_of_each_project_stay(project: Project) -> None:
    other = ProjectFactory()
    refuse(other, {"n": "theirs"})
    for step in range(KEPT // KEPT_OF_REQUEST + 1):
        refuse(project, *({"n": f"{step}-{n}"} for n in range(KEPT_OF_REQUEST + 5)))
    roll_up()
    assert RefusedUpload.objects.filter(project=project).count() == KEPT
    assert latest(project, KEPT)[-1].record == '{"n": "1-0"}'
    assert RefusedUpload.objects.filter(project=other).count() == 1


def test_a_deleted_person_is_forgotten_here_too(project: Project) -> None:
    capture(project, event("asha"), event(77))
    refuse(project, {"identity": "asha", "evtName": 1}, {"identity": "ravi"}, {"identity": 77}, {"identity": "77"})
    delete_people(project=project, identities=["asha", "77"], by=TESTS, now=datetime.now(UTC))
    assert [row.record for row in latest(project, 10)] == ['{"identity": "ravi"}']


def test_pruning_writes_nothing_when_there_is_nothing_to_delete(project: Project) -> None:
    refuse(project, {})
    roll_up()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())")
        before = cursor.fetchone()
        roll_up()
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())")
        assert cursor.fetchone() == before
