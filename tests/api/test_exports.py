"""Exports and runs over REST."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from exports.models import Export
from exports_portal.common.models import AuditEntry
from tests.factories import (
    EventNameFactory,
    ExportFactory,
    IntegrationFactory,
    PersonFactory,
    RejectedFactory,
    RunFactory,
)

ADDRESS = "/api/v1/exports/"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # 17:30 in Kolkata
COUNTS = ("read", "delivered", "rejected", "held", "skipped", "in_flight", "unconfirmed")


@pytest.fixture(autouse=True)
def _at_a_known_time():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def integration(project):
    return IntegrationFactory(project=project)


@pytest.fixture
def one_time(integration):
    """A body that makes a one-time export."""
    dates = {"date_from": "2026-11-01", "date_to": "2026-11-23"}
    return {"integration": integration.pk, "frequency": "one_time", **dates}


@pytest.fixture
def recurring(integration):
    """A body that makes a recurring export."""
    return {"integration": integration.pk, "frequency": "recurring", "every_hours": 4, "start_date": "2026-11-24"}


def test_creating_a_one_time_export_fills_the_defaults_and_makes_its_run(api, one_time):
    answer = api.post(ADDRESS, one_time)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["status"] == "PENDING"
    assert body["type"] == "events"
    assert body["events"] == "all"
    assert body["identifier_priority"] == ["identity", "email", "phone"]
    assert body["excluded_properties"] == body["selected_events"] == []
    assert body["hyphenate_names"] is False
    assert body["version"] == 1
    assert body["format"] == "JSON"
    assert {name: body[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0)
    assert datetime.fromisoformat(body["exported_on"]) == NOW
    run = api.get(f"{ADDRESS}{body['id']}/runs/").json()["results"][0]
    assert datetime.fromisoformat(run["window"]["start"]) == datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
    assert datetime.fromisoformat(run["window"]["end"]) == datetime(2026, 11, 23, 18, 30, tzinfo=UTC)


def test_user_profiles_once_are_all_people_whatever_the_days(api, project, integration):
    PersonFactory(project=project, properties={"City": "Pune"})
    body = {"integration": integration.pk, "type": "user_profiles", "frequency": "one_time"}
    preview = api.post(f"{ADDRESS}preview/", body).json()
    assert preview["estimate"] == 1
    assert preview["records"][0]["event_name"] == "User profile"
    assert preview["records"][0]["payload"]["user_properties"] == {"$set": {"City": "Pune"}}
    for dates in ({}, {"date_from": "2026-11-01", "date_to": "2026-11-23"}, {"date_from": None, "date_to": None}):
        answer = api.post(ADDRESS, {**body, **dates})
        assert answer.status_code == 201, answer.content
        made = answer.json()
        assert (made["type"], made["date_from"], made["date_to"]) == ("user_profiles", None, None)
        run = api.get(f"{ADDRESS}{made['id']}/runs/").json()["results"][0]
        assert datetime.fromisoformat(run["window"]["start"]) == datetime.fromisoformat(run["window"]["end"]) == NOW
    assert api.get(f"{ADDRESS}?type=user_profiles").json()["count"] == 3


@pytest.mark.parametrize("type_", ["events", "user_profiles"])
def test_the_type_cannot_be_changed(api, recurring, type_):
    pk = api.post(ADDRESS, {**recurring, "type": type_}).json()["id"]
    other = "events" if type_ == "user_profiles" else "user_profiles"
    answer = api.patch(f"{ADDRESS}{pk}/", {"type": other})
    assert answer.status_code == 400
    assert answer.json()["type"][0].startswith("You cannot change the export from User Profile to Event")
    assert api.patch(f"{ADDRESS}{pk}/", {"type": type_, "hyphenate_names": True}).status_code == 200


@pytest.mark.parametrize("changes", [{"events": "engagement"}, {"selected_events": ["Charged"]}])
def test_events_do_not_belong_to_user_profiles(api, recurring, changes):
    answer = api.post(ADDRESS, {**recurring, "type": "user_profiles", **changes})
    assert answer.status_code == 400
    assert set(answer.json()) == set(changes)


def test_a_recurring_export_waits_for_its_first_boundary(api, recurring):
    body = api.post(ADDRESS, recurring).json()
    assert body["status"] == "PENDING"
    assert datetime.fromisoformat(body["next_run_at"]) == datetime(2026, 11, 23, 22, 30, tzinfo=UTC)
    assert api.get(f"{ADDRESS}{body['id']}/").json() == body


def test_creating_is_audited_under_the_tokens_name(api, recurring):
    pk = api.post(ADDRESS, recurring).json()["id"]
    entry = AuditEntry.objects.get(action="export.create", target_id=pk)
    assert entry.actor.startswith("API token")


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"date_from": "2026-09-01"}, "date_from", "more than 60 days back"),
        ({"date_to": "2026-10-31"}, "date_to", "before the first"),
        ({"date_to": "2026-11-24"}, "date_to", "future"),
        ({"date_from": None}, "date_from", "Choose a date"),
        ({"date_from": "1st of May"}, "date_from", "Date has wrong format"),
        ({"every_hours": 4}, "every_hours", "does not belong"),
        ({"start_date": "2026-11-24"}, "start_date", "does not belong"),
        ({"events": "selected"}, "selected_events", "Select at least one event"),
        ({"events": "selected", "selected_events": []}, "selected_events", "Select at least one event"),
        ({"events": "selected", "selected_events": ["Nope"]}, "selected_events", "no event named “Nope”"),
        ({"events": "selected", "selected_events": [""]}, "selected_events", "Item 1"),
        ({"events": "selected", "selected_events": "Searched"}, "selected_events", "list"),
        ({"events": "some"}, "events", "all, selected, engagement"),
        ({"type": "people"}, "type", "events"),
        ({"frequency": "hourly"}, "frequency", "one_time, recurring"),
        ({"identifier_priority": []}, "identifier_priority", "at least one"),
        ({"identifier_priority": ["identity", "identity"]}, "identifier_priority", "at most once"),
        ({"identifier_priority": ["cookie"]}, "identifier_priority", "identity, email, phone"),
        ({"excluded_properties": ["x" * 513]}, "excluded_properties", "512"),
        ({"hyphenate_names": "perhaps"}, "hyphenate_names", "valid boolean"),
        ({"name": "x" * 201}, "name", "200"),
        ({"integration": 10**30}, "integration", "this project's integrations"),
        ({"integration": "first"}, "integration", "valid integer"),
        ({"status": "DONE"}, "status", "no field with this name"),
        ({"Frequency": "one_time"}, "Frequency", "no field with this name"),
    ],
)
def test_bad_input_is_400_at_its_field_and_nothing_is_saved(api, one_time, changes, field, words):
    answer = api.post(ADDRESS, {**one_time, **changes})
    assert answer.status_code == 400
    errors = answer.json()
    assert set(errors) == {field}
    assert words in " ".join(errors[field])
    assert not Export.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"every_hours": 5}, "every_hours", "4, 6, 8, 12 or 24"),
        ({"every_hours": None}, "every_hours", "4, 6, 8, 12 or 24"),
        ({"start_date": "2026-09-01"}, "start_date", "more than 60 days back"),
        ({"start_date": "2028-01-01"}, "start_date", "within a year"),
        ({"start_date": None}, "start_date", "Choose a date"),
        ({"date_to": "2026-11-01"}, "date_to", "does not belong"),
    ],
)
def test_bad_cycles_are_400_at_their_field(api, recurring, changes, field, words):
    answer = api.post(ADDRESS, {**recurring, **changes})
    assert answer.status_code == 400
    assert set(answer.json()) == {field}
    assert words in answer.json()[field][0]


def test_selected_events_of_the_catalogue_are_taken(api, project, one_time):
    EventNameFactory(project=project, name="Searched")
    body = {**one_time, "events": "selected", "selected_events": ["Searched", "Searched"]}
    assert api.post(ADDRESS, body).json()["selected_events"] == ["Searched"]


def test_event_names_of_another_project_are_unknown(api, one_time):
    EventNameFactory(name="Searched")
    body = {**one_time, "events": "selected", "selected_events": ["Searched"]}
    assert api.post(ADDRESS, body).status_code == 400


@pytest.mark.parametrize("missing", ["integration", "frequency"])
def test_what_is_required_is_said_at_its_field(api, one_time, missing):
    del one_time[missing]
    answer = api.post(ADDRESS, one_time)
    assert answer.status_code == 400
    assert set(answer.json()) == {missing}


def test_a_form_body_is_refused(api):
    answer = api.post(ADDRESS, "frequency=one_time", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415


def test_counts_are_those_of_all_runs(api, project):
    export = ExportFactory(project=project, recurring=True)
    RunFactory(export=export, done=True, counts={"delivered": 5, "rejected": 2})
    RunFactory(export=export, running=True, counts={"delivered": 1, "held": 3, "skipped": 4, "in_flight": 7})
    body = api.get(f"{ADDRESS}{export.pk}/").json()
    assert {name: body[name] for name in COUNTS} == {
        "read": 15,
        "delivered": 6,
        "rejected": 2,
        "held": 3,
        "skipped": 4,
        "in_flight": 7,
        "unconfirmed": 0,
    }


def test_a_patch_keeps_what_is_left_out(api, recurring):
    pk = api.post(ADDRESS, {**recurring, "name": "Nightly"}).json()["id"]
    answer = api.patch(f"{ADDRESS}{pk}/", {"excluded_properties": ["Phone"]})
    assert answer.status_code == 200, answer.content
    assert answer.json()["name"] == "Nightly"
    assert answer.json()["excluded_properties"] == ["Phone"]
    assert answer.json()["version"] == 2


def test_a_stale_version_is_409_and_changes_nothing(api, recurring):
    pk = api.post(ADDRESS, recurring).json()["id"]
    assert api.patch(f"{ADDRESS}{pk}/", {"name": "A", "version": 1}).status_code == 200
    answer = api.patch(f"{ADDRESS}{pk}/", {"name": "B", "version": 1})
    assert answer.status_code == 409
    assert "changed this export" in answer.json()["detail"]
    assert api.get(f"{ADDRESS}{pk}/").json()["name"] == "A"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "DONE"},
        {"type": "user_profiles"},
        {"version": 0},
        {"version": "x"},
        {"nonsense": 1},
        {"every_hours": 5},
    ],
)
def test_a_wrong_patch_is_400_at_its_field_never_ignored(api, recurring, changes):
    pk = api.post(ADDRESS, recurring).json()["id"]
    answer = api.patch(f"{ADDRESS}{pk}/", {"name": "B", **changes})
    assert answer.status_code == 400, answer.content
    assert set(answer.json()) == set(changes)
    assert api.get(f"{ADDRESS}{pk}/").json()["name"] == ""


def test_one_time_exports_cannot_be_edited(api, one_time):
    pk = api.post(ADDRESS, one_time).json()["id"]
    answer = api.patch(f"{ADDRESS}{pk}/", {"name": "B"})
    assert answer.status_code == 409
    assert "cannot edit a One time export" in answer.json()["detail"]


@pytest.mark.parametrize("state", ["done", "stopped"])
def test_what_has_ended_cannot_be_edited_retried_or_run(api, project, state):
    export = ExportFactory(project=project, recurring=True, **{state: True})
    address = f"{ADDRESS}{export.pk}/"
    answers = [api.patch(address, {"name": "B"}), api.post(f"{address}retry/"), api.post(f"{address}run-now/")]
    assert [answer.status_code for answer in answers] == [409, 409, 409]
    assert all(set(answer.json()) == {"detail"} for answer in answers)


def test_stopping_is_200_each_time(api, recurring):
    pk = api.post(ADDRESS, recurring).json()["id"]
    for _ in range(2):
        answer = api.post(f"{ADDRESS}{pk}/stop/")
        assert answer.status_code == 200
        assert answer.json()["status"] == "STOPPED"
        assert answer.json()["next_run_at"] is None


def test_stopping_what_is_done_is_409(api, project):
    export = ExportFactory(project=project, done=True)
    assert api.post(f"{ADDRESS}{export.pk}/stop/").status_code == 409


def test_retry_clears_attention(api, project):
    export = ExportFactory(project=project, recurring=True, running=True, needs_attention=True, last_error="403")
    answer = api.post(f"{ADDRESS}{export.pk}/retry/")
    assert answer.status_code == 200
    assert answer.json()["needs_attention"] is False


def test_run_now_answers_the_new_run(api, recurring):
    pk = api.post(ADDRESS, {**recurring, "start_date": "2026-11-01"}).json()["id"]
    answer = api.post(f"{ADDRESS}{pk}/run-now/")
    assert answer.status_code == 200
    assert answer.json()["export"] == pk
    assert api.get(f"/api/v1/runs/{answer.json()['id']}/").json() == answer.json()
    again = api.post(f"{ADDRESS}{pk}/run-now/")
    assert again.status_code == 409


def test_run_now_is_for_recurring_exports_only(api, one_time):
    pk = api.post(ADDRESS, one_time).json()["id"]
    answer = api.post(f"{ADDRESS}{pk}/run-now/")
    assert answer.status_code == 409
    assert "Only recurring" in answer.json()["detail"]


def test_a_run_tells_its_window_counts_and_that_all_is_accounted_for(api, project):
    counts = {"delivered": 5, "rejected": 2, "skipped": 1, "takeovers": 1, "altered": 3}
    run = RunFactory(export__project=project, done=True, counts=counts)
    body = api.get(f"/api/v1/runs/{run.pk}/").json()
    assert body["export"] == run.export_id
    assert body["status"] == "DONE"
    assert body["read"] == 8
    assert body["accounted"] is True
    assert body["attempts"] == 2
    assert body["altered"] == 3
    assert datetime.fromisoformat(body["window"]["end"]) == run.window_end
    assert datetime.fromisoformat(body["finished_at"]) - NOW == timedelta(minutes=1)


def test_a_run_that_has_not_started_has_no_attempt(api, project):
    run = RunFactory(export__project=project)
    body = api.get(f"/api/v1/runs/{run.pk}/").json()
    assert body["attempts"] == 0
    assert body["started_at"] is None
    assert body["last_error"] == ""


def test_runs_are_listed_newest_first(api, project):
    export = ExportFactory(project=project, recurring=True)
    first = RunFactory(export=export, done=True)
    second = RunFactory(export=export, done=True)
    body = api.get(f"{ADDRESS}{export.pk}/runs/").json()
    assert [row["id"] for row in body["results"]] == [second.pk, first.pk]
    assert body["count"] == 2


def test_rejected_records_show_reason_cure_and_payload(api, project):
    record = RejectedFactory(run__export__project=project)
    body = api.get(f"/api/v1/runs/{record.run_id}/rejected/").json()
    assert body["count"] == 1
    shown = body["results"][0]
    assert shown["payload"] == {"event_type": "Searched", "user_id": "abc"}
    assert {name: shown[name] for name in ("id", "reason", "field", "message", "cure", "attempts")} == {
        "id": record.pk,
        "reason": "id_too_short",
        "field": "user_id",
        "message": record.message,
        "cure": record.cure,
        "attempts": 1,
    }


def test_rejected_records_are_filtered_by_reason(api, project):
    run = RunFactory(export__project=project, done=True)
    wanted = RejectedFactory(run=run, reason="silenced", payload="not JSON")
    RejectedFactory(run=run)
    body = api.get(f"/api/v1/runs/{run.pk}/rejected/?reason=silenced").json()
    assert [row["id"] for row in body["results"]] == [wanted.pk]
    assert body["results"][0]["payload"] == "not JSON"


def test_the_catalogue_lists_the_projects_names(api, project):
    EventNameFactory(project=project, name="Searched", kind="custom", count=7)
    EventNameFactory(project=project, name="App Launched", kind="system")
    EventNameFactory(name="Foreign")
    body = api.get("/api/v1/events/").json()
    assert [row["name"] for row in body["results"]] == ["App Launched", "Searched"]
    assert set(body["results"][0]) == {"id", "name", "kind", "count", "first_seen_at", "last_seen_at", "discarded_at"}
    assert api.get("/api/v1/events/?kind=custom").json()["results"][0]["count"] == 7
    assert api.get("/api/v1/events/?search=LAUNCH").json()["count"] == 1


@pytest.mark.parametrize("page_size", ["5", "0", "-1", "50", "all", "20.0"])
def test_other_page_sizes_are_400(api, project, page_size):
    for address in (ADDRESS, "/api/v1/integrations/", "/api/v1/events/"):
        answer = api.get(address, {"page_size": page_size})
        assert answer.status_code == 400
        assert set(answer.json()) == {"page_size"}


def test_pages_hold_twenty_unless_asked(api, project):
    ExportFactory.create_batch(21, project=project, integration=IntegrationFactory(project=project))
    first = api.get(ADDRESS).json()
    assert first["count"] == 21
    assert len(first["results"]) == 20
    second = api.get(first["next"]).json()
    assert len(second["results"]) == 1
    assert second["next"] is None
    ids = [row["id"] for row in first["results"] + second["results"]]
    assert ids == sorted(ids, reverse=True)
    assert len(api.get(f"{ADDRESS}?page_size=10&page=3").json()["results"]) == 1


@pytest.mark.parametrize("page", ["0", "2", "x"])
def test_a_page_that_is_not_there_is_404(api, project, page):
    assert api.get(f"{ADDRESS}?page={page}").status_code == 404


def test_the_list_costs_the_same_few_queries_for_many_exports(api, project, django_assert_num_queries):
    for number in range(5):
        ExportFactory(project=project, integration__nickname=f"N{number}")
    api.get(ADDRESS)  # notes that the token is used, once a minute
    with django_assert_num_queries(5):  # token, count, keys, page, counts
        api.get(ADDRESS)
