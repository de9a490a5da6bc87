"""REST: rejected records are listed, downloaded and sent again, skipped ones listed; exports go once more."""

from datetime import timedelta

import pytest
from django.utils import timezone

from exports.models import Rejected, Shard
from tests.factories import EventFactory, ExportFactory, RunFactory, SkippedFactory


@pytest.fixture
def run(project):
    """A run with three rejected records, two of them of one reason."""
    run = RunFactory(export=ExportFactory(project=project, done=True), done=True)
    shard = run.shards.first() or Shard.objects.create(run=run, index=0, of=1, open=False, reading=False)
    Shard.objects.filter(pk=shard.pk).update(read=3, rejected=3, delivered=0, held=0, skipped=0)
    for number, reason in enumerate(("bad_time", "bad_time", "id_too_short")):
        Rejected.objects.create(
            run=run, shard=shard, record_id=number, reason=reason, message="=1+1", created_at=timezone.now()
        )
    return run


def url(run, tail: str = "rejected/") -> str:
    return f"/api/v1/runs/{run.pk}/{tail}"


def test_all_of_a_reason_are_queued_once(api, run):
    answer = api.post(url(run, "rejected/resend/"), {"reason": "bad_time"})
    assert (answer.status_code, answer.json()) == (200, {"queued": 2})
    assert api.post(url(run, "rejected/resend/"), {"reason": "bad_time"}).json() == {"queued": 0}
    listed = api.get(url(run)).json()["results"]
    assert [row["queued"] for row in listed] == [True, True, False]


def test_wrong_choices_are_named_at_their_field(api, run):
    for body in ({}, {"ids": []}, {"ids": [1], "reason": "bad_time"}, {"ids": [10**18]}):
        answer = api.post(url(run, "rejected/resend/"), body)
        assert (answer.status_code, set(answer.json())) == (400, {"ids"})
    answer = api.post(url(run, "rejected/resend/"), {"reason": "unheard of"})
    assert (answer.status_code, set(answer.json())) == (400, {"reason"})


def test_a_nul_in_a_reason_is_left_out(api, run):
    assert api.get(url(run), {"reason": "bad_\0time"}).json()["count"] == 2
    assert api.post(url(run, "rejected/resend/"), {"reason": "bad_\0time"}).status_code == 400


def test_old_ones_need_consent(api, run):
    Rejected.objects.update(created_at=timezone.now() - timedelta(days=8))
    answer = api.post(url(run, "rejected/resend/"), {"reason": "bad_time"})
    assert answer.status_code == 409
    assert "7 days" in answer.json()["detail"]
    assert api.post(url(run, "rejected/resend/"), {"reason": "bad_time", "consent": True}).json() == {"queued": 2}


def test_the_file_has_every_record_and_no_formula(api, run):
    answer = api.get(url(run, "rejected.csv/"))
    lines = answer.getvalue().decode().splitlines()
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert len(lines) == 4
    assert ",'=1+1," in lines[1]


def test_the_file_has_one_reason_where_it_is_asked_for_and_takes_no_other_filter(api, run):
    of_export = f"/api/v1/exports/{run.export_id}/rejected.csv/"
    for address in (url(run, "rejected.csv/"), of_export):
        assert len(api.get(address, {"reason": "bad_time"}).getvalue().splitlines()) == 3
        answer = api.get(address, {"reasn": "bad_time"})
        assert (answer.status_code, set(answer.json())) == (400, {"reasn"})


def test_skipped_records_are_listed_with_what_the_log_knows(api, run, project):
    event = EventFactory(project=project)
    SkippedFactory(run=run, record_id=event.pk)
    SkippedFactory(run=run, record_id=event.pk + 1)
    answer = api.get(url(run, "skipped/")).json()
    assert answer["count"] == 2
    known, gone = answer["results"]
    assert (known["reason"], known["event"], known["person"]) == ("no_identifier", event.name.name, event.identity)
    assert (known["message"], gone["event"], gone["time"]) == (gone["message"], None, None)


def test_other_projects_runs_are_not_found(api):
    other = RunFactory(done=True)
    assert api.post(url(other, "rejected/resend/"), {"reason": "x"}).status_code == 404
    assert api.get(url(other, "rejected.csv/")).status_code == 404
    assert api.get(url(other, "skipped/")).status_code == 404


def test_an_export_is_duplicated_and_a_stopped_one_continued(api, project, db):
    export = ExportFactory(project=project, stopped=True)
    answer = api.post(f"/api/v1/exports/{export.pk}/duplicate/")
    assert (answer.status_code, answer.json()["status"]) == (201, "PENDING")
    running = ExportFactory(project=project)
    assert api.post(f"/api/v1/exports/{running.pk}/continue/").status_code == 409
