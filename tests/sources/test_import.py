"""Importing from CleverTap: what is captured, once and only once, whatever its API answers."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import connection

from events.models import Event, Person, RefusedUpload
from projects.models import Project
from sources import actions
from sources.models import Imported, Source
from sources.work import ring_due, work
from tests.events.capture import NOW, capture, profile, stored
from tests.factories import TESTS
from tests.sources.account import CURSOR, Account, record
from tests.sources.conftest import source_of
from tests.sources.turns import numbers, only, turn, turn_by_turn

pytestmark = pytest.mark.django_db(transaction=True)
DAY = ("UTM Visited", 20261119)


def test_a_record_becomes_an_event_and_a_person(project: Project, account: Account) -> None:
    told = {"identity": "asha", "name": "Asha", "email": "asha@example.com", "profileData": {"Plan": "Gold"}}
    account.days[DAY] = [[record(1, **told)]]
    source = turn(source_of(project))
    [row] = stored(project)
    assert (row.name, row.identity, row.clevertap_id) == ("UTM Visited", "asha", "__g9e75e20d")
    assert row.occurred_at == datetime(2026, 11, 19, 0, 19, 37, tzinfo=UTC)  # 05:49:37 in India
    assert orjson.loads(row.properties) == {
        "CT App Version": "1.1.7",
        "CT OS Version": "10",
        "Model": "M2006C3MII",
        "Make": "xiaomi",
        "Platform": "Android",
        "session_source": "Others",
        "utm_source": "google-play",
        "utm_medium": "organic",
        "Install": "y",
        "n": 1,
    }
    person = Person.objects.get()
    assert (person.name, person.email, person.properties) == ("Asha", "asha@example.com", {"Plan": "Gold"})
    assert (only(source).state, only(source).read, only(source).captured) == ("done", 1, 1)


def test_an_event_with_as_many_properties_as_may_be_comes_without_device_fields(
    project: Project, account: Account
) -> None:
    full = {"n": 1, **{f"p{number}": number for number in range(252)}}  # and three of the session
    account.days[DAY] = [[record(1) | {"event_props": full}]]
    source = turn(source_of(project))
    [row] = stored(project)
    assert len(orjson.loads(row.properties)) == 256
    assert only(source).refused == 0


def test_the_two_steps_are_those_of_clevertap(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)], [record(2)], []]
    turn(source_of(project))
    assert account.begun == [{"event_name": "UTM Visited", "from": 20261119, "to": 20261119}]
    first, *pages = account.asked
    assert first.args["batch_size"] == "1000"
    assert first.headers["X-CleverTap-Account-Id"] == "ABC-DEF-GHIJ"
    assert first.headers["X-CleverTap-Passcode"] == "OLS-ABC-1234-passcode"
    assert all(page.query_string.decode().startswith(f"cursor={CURSOR}.") for page in pages)  # not encoded again
    assert len(pages) == 3
    assert numbers(project) == [1, 2]


def test_reading_again_captures_only_what_is_new(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1), record(2)], [record(3)]]
    source = turn(source_of(project))
    before = {row.uid for row in stored(project)}
    account.days[DAY] = [[record(3, name="Renamed since"), record(4)], [record(2), record(1)]]
    actions.read_again(source=source, by=TESTS, now=NOW)
    turn(source)
    assert numbers(project) == [1, 2, 3, 4]
    assert before < {row.uid for row in stored(project)}
    pull = only(source)
    assert (pull.read, pull.known, pull.captured) == (4, 3, 4)


def test_events_that_are_alike_are_counted(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1), record(1)], [record(1)]]
    source = turn(source_of(project))
    assert numbers(project) == [1, 1, 1]
    assert len({row.uid for row in stored(project)}) == 3
    account.days[DAY] = [[record(1)] * 4]
    actions.read_again(source=source, by=TESTS, now=NOW)
    turn(source)
    assert numbers(project) == [1] * 4
    actions.read_again(source=source, by=TESTS, now=NOW)
    turn(source)
    assert numbers(project) == [1] * 4


def test_another_source_of_the_same_account_brings_nothing_twice(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)]]
    first = turn(source_of(project))
    actions.stop_source(source=first, by=TESTS, now=NOW)
    turn(source_of(project))
    assert numbers(project) == [1]


def test_another_time_zone_is_for_days_that_were_not_read_yet(project: Project, account: Account) -> None:
    account.days = {DAY: [[record(1)]], ("UTM Visited", 20261118): [[record(2, ts=20261118054937)]]}
    first = turn(source_of(project))
    actions.stop_source(source=first, by=TESTS, now=NOW)
    turn(source_of(project, timezone="UTC", date_from=date(2026, 11, 18)))
    hours = {row.occurred_at.hour for row in stored(project)}
    assert (numbers(project), hours) == ([1, 2], {0, 5})


def test_a_worker_that_dies_goes_on_where_it_was(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)], [record(2), record(1)], [record(3)]]
    source = source_of(project)

    def die() -> None:
        if sum(request.method == "GET" for request in account.asked) == 3:
            Source.objects.filter(pk=source.pk).update(fence=99)  # somebody else took it up

    account.on_page = die
    turn(source)
    assert numbers(project) == [1, 2, 1]
    assert only(source).cursor.endswith(".2")
    account.on_page = lambda: None
    turn(source)
    assert numbers(project) == [1, 2, 1, 3]
    assert (only(source).state, only(source).read) == ("done", 4)
    assert len(account.begun) == 1


def test_a_cursor_that_died_begins_the_day_again_without_doubles(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1), record(1)], [record(2)]]
    source = source_of(project)
    turn_by_turn(source, 2)  # the cursor, and the first page
    account.faults = [(200, {"status": "fail", "error": "Incorrect Usage", "code": 3})]
    turn(source)
    assert numbers(project) == [1, 1, 2]
    assert len(account.begun) == 2
    assert (only(source).state, only(source).walk, only(source).known) == ("done", 2, 2)


@pytest.mark.parametrize(
    ("status", "content", "seconds", "said"),
    [
        (200, {"status": "fail", "error": "Too many requests", "code": 1}, 30, "too many requests"),
        (429, {"status": "fail", "error": "Too many concurrent requests", "code": 429}, 30, "too many requests"),
        (200, {"status": "fail", "error": "Request still in progress, please retry later", "code": 2}, 5, "preparing"),
        (500, "<html>", None, "HTTP 500"),
        (200, "[]", None, "HTTP 200"),
        (302, "", None, "HTTP 302"),
        (200, {"status": "success", "records": None}, None, "without records"),
    ],
)
def test_what_passes_by_itself_is_waited_for(
    project: Project, account: Account, status: int, content: Any, seconds: float | None, said: str
) -> None:
    account.days[DAY] = [[record(1)]]
    source = source_of(project)
    turn_by_turn(source, 1)
    account.faults = [(status, content)]
    turn(source)
    assert said in source.last_error
    assert source.fault == ""
    assert source.failures == (seconds is None)
    waits = (source.not_before - _now()).total_seconds()  # type: ignore[operator]
    assert waits > 0 if seconds is None else waits <= seconds
    work(source.pk, now=NOW)
    assert numbers(project) == []
    turn(source)
    assert numbers(project) == [1]
    assert (source.last_error, source.failures) == ("", 0)


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


def test_a_server_that_is_away_is_waited_for_longer_and_longer(
    project: Project, account: Account, settings: Any
) -> None:
    settings.CLEVERTAP_URL = "http://127.0.0.1:9"
    source = source_of(project)
    waits = []
    for _ in range(3):
        turn(source)
        waits.append((source.not_before - _now()).total_seconds())  # type: ignore[operator]
    assert source.failures == 3
    assert "could not be reached" in source.last_error
    assert waits[2] > waits[0]


def test_a_refused_passcode_stops_everything_until_it_is_mended(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)]]
    account.faults = [(401, {"status": "fail", "error": "Invalid Credentials", "code": 401})]
    source = turn(source_of(project))
    assert "Invalid Credentials" in source.fault
    turn(source)
    assert len(account.asked) == 1
    assert ring_due(now=NOW) == 0
    actions.retry_source(source=source, by=TESTS, now=NOW)
    turn(source)
    assert (numbers(project), source.fault) == ([1], "")


def test_an_event_that_is_not_offered_stops_no_other(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)]]
    names = ["Notification Sent", "UTM Visited", "Uninstalled"]
    source = source_of(project, events=names, date_from=date(2026, 11, 17))
    account.faults = [(400, {"status": "fail", "error": "Export not allowed for this event", "code": 400})]
    turn(source)
    states = {(pull.name, pull.state) for pull in source.pulls.all()}
    assert states == {("Notification Sent", "refused"), ("UTM Visited", "done"), ("Uninstalled", "refused")}
    assert "Invalid event : Uninstalled" in source.pulls.filter(name="Uninstalled")[0].error
    assert [asked["event_name"] for asked in account.begun].count("Uninstalled") == 1
    assert numbers(project) == [1]


def test_odd_records_are_refused_one_by_one_and_may_come_later(project: Project, account: Account) -> None:
    odd = [record(1, ts="soon"), record(2, who=""), "nonsense", None, {}, record(3, ts=20261350000000)]
    account.days[DAY] = [[*odd, record(4)]]
    source = turn(source_of(project))
    assert numbers(project) == [4]
    pull = only(source)
    assert (pull.state, pull.read, pull.captured, pull.refused) == ("done", 7, 1, 6)
    assert RefusedUpload.objects.filter(project=project).count() == 6
    account.days[DAY] = [[record(2, who="", email="late@example.com")]]
    actions.read_again(source=source, by=TESTS, now=NOW)
    turn(source)
    assert numbers(project) == [4, 2]
    assert stored(project)[1].identity == "late@example.com"


def test_people_who_are_known_keep_their_profile(project: Project, account: Account) -> None:
    capture(project, profile("asha", Name="Asha Rao", Plan="Gold"))
    account.days[DAY] = [[record(1, identity="asha", name="Old name", profileData={"Plan": "Free"})]]
    turn(source_of(project))
    assert [(one.name, one.properties) for one in Person.objects.all()] == [("Asha Rao", {"Plan": "Gold"})]


def test_a_bad_profile_costs_no_event(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1, email="nowhere"), record(2)]]
    turn(source_of(project))
    assert numbers(project) == [1, 2]
    assert RefusedUpload.objects.get().code == 515


def test_days_follow_one_another_and_new_ones_come_when_they_are_over(project: Project, account: Account) -> None:
    account.days = {("A", 20261117 + day): [[record(day, ts=20261117120000 + day * 1_000_000)]] for day in range(5)}
    source = source_of(project, events=["A"], date_from=date(2026, 11, 17), date_to=None)
    turn(source)
    assert numbers(project) == [0, 1, 2]  # 12:00 UTC on the 20th: the 19th is over in India
    assert ring_due(now=NOW) == 0
    midnight = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
    assert ring_due(now=midnight + timedelta(hours=2, minutes=59)) == 0
    assert ring_due(now=midnight + timedelta(hours=3)) == 1
    turn(source)
    assert numbers(project) == [0, 1, 2, 3]


def test_a_turn_ends_and_rings_for_the_next(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(n)] for n in range(5)]
    source = source_of(project)
    turn(source, seconds=0)
    assert only(source).state == "waiting"
    turn_by_turn(source, 5)
    assert numbers(project) == [0, 1, 2, 3, 4]


def test_two_workers_never_read_at_once(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)]]
    source = source_of(project)
    account.on_page = lambda: work(source.pk, now=NOW)  # a second bell while a page is out
    turn(source)
    assert numbers(project) == [1]
    assert len(account.asked) == 2


def test_a_stopped_source_reads_nothing_and_has_no_passcode(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)], [record(2)]]
    source = source_of(project)
    account.on_page = lambda: actions.stop_source(source=source, by=TESTS, now=NOW)
    turn(source)
    assert numbers(project) == []
    assert (source.passcode, source.passcode_hint) == ("", "")
    turn(source)
    assert len(account.asked) == 2


def test_the_passcode_is_encrypted_and_the_region_decides_the_host(project: Project, settings: Any) -> None:
    from sources.work import base_url

    source = source_of(project)
    with connection.cursor() as cursor:
        cursor.execute("SELECT passcode FROM sources_source WHERE id = %s", [source.pk])
        assert "OLS-ABC" not in cursor.fetchone()[0]
    settings.CLEVERTAP_URL = ""
    assert base_url("in1") == "https://in1.api.clevertap.com"
    assert base_url("eu1") == "https://api.clevertap.com"


def test_what_is_erased_does_not_come_back(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)]]
    source = turn(source_of(project))
    Event.objects.all().delete()
    actions.read_again(source=source, by=TESTS, now=NOW)
    turn(source)
    assert numbers(project) == []
    assert Imported.objects.count() == 1
