"""Editing a source while it is read, planned or very old: what was asked for last holds."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from exports_portal.common.errors import Invalid
from projects.models import Project
from sources import actions
from sources.models import Pull, Source
from sources.planning import plan_due
from sources.spec import spec_of
from tests.events.capture import NOW, stored
from tests.factories import TESTS
from tests.sources.account import Account, record
from tests.sources.conftest import source_of
from tests.sources.turns import numbers, only, turn, turn_by_turn

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "UTM Visited"
DAY = (NAME, 20261119)
FIRST = date(2026, 11, 19)


def edit(source: Source, *, now: datetime = NOW, **changes: Any) -> None:
    actions.edit_source(source=source, spec=replace(spec_of(source), **changes), by=TESTS, now=now)


def test_a_page_on_its_way_is_read_anew_in_the_zone_of_the_edit(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)]]
    source = source_of(project)
    account.on_page = lambda: edit(source, timezone="UTC")
    turn(source)
    assert numbers(project) == []
    account.on_page = lambda: None
    turn(source)
    assert [row.occurred_at for row in stored(project)] == [datetime(2026, 11, 19, 5, 49, 37, tzinfo=UTC)]


def test_a_page_of_an_event_that_was_removed_is_not_captured(project: Project, account: Account) -> None:
    account.days = {DAY: [[record(1)]], ("Other", 20261119): [[record(2)]]}
    source = source_of(project)
    turn_by_turn(source, 1)
    account.on_page = lambda: edit(source, events=["Other"])
    turn(source)
    account.on_page = lambda: None
    turn(source)
    assert (numbers(project), only(source).name) == ([2], "Other")


def test_an_answer_for_the_old_passcode_is_no_fault_of_the_new_one(project: Project, account: Account) -> None:
    account.days[DAY] = [[record(1)]]
    account.faults = [(401, {"status": "fail", "error": "Invalid Credentials", "code": 401})]
    source = source_of(project)
    account.on_fault = lambda: edit(source, passcode="the-new-one-of-clevertap")
    turn(source)
    assert (source.fault, source.lease_until) == ("", None)
    turn(source)
    assert numbers(project) == [1]
    assert account.asked[-1].headers["X-CleverTap-Passcode"] == "the-new-one-of-clevertap"


def test_days_are_planned_by_the_edit_that_was_under_way(project: Project) -> None:
    source = source_of(project, date_to=None)
    tomorrow = NOW + timedelta(days=1)

    def plan() -> None:
        plan_due(now=tomorrow)
        connection.close()

    planner = threading.Thread(target=plan)
    with transaction.atomic():
        edit(source, events=["Other"])
        planner.start()
        planner.join(timeout=1)
    planner.join()
    plan_due(now=tomorrow)
    days = {("Other", FIRST), ("Other", FIRST + timedelta(days=1))}
    assert set(source.pulls.values_list("name", "day")) == days


def test_a_source_of_many_events_can_be_edited_however_old_it_is(project: Project) -> None:
    names = [f"E{number}" for number in range(100)]
    source = source_of(project, events=names, date_to=None)
    later = NOW + timedelta(days=210)
    plan_due(now=later)
    source.pulls.update(state=Pull.State.DONE)
    edit(source, now=later, passcode="the-new-one-of-clevertap")
    source.refresh_from_db()
    assert (source.passcode, source.pulls.count()) == ("the-new-one-of-clevertap", 21_100)
    edit(source, now=later, events=[*names[1:], "New"])
    assert set(source.pulls.filter(state=Pull.State.WAITING).values_list("name", flat=True)) == {"New"}


def test_an_edit_adds_only_so_many_days_at_once(project: Project) -> None:
    source = source_of(project, events=[f"E{number}" for number in range(100)])
    with pytest.raises(Invalid, match="20,100 days to read, one for each event, are too many: 20,000 at once"):
        edit(source, date_from=FIRST - timedelta(days=201))
    assert source.pulls.count() == 100
    edit(source, date_from=FIRST - timedelta(days=200))
    source.refresh_from_db()
    edit(source, date_from=FIRST - timedelta(days=201))
    assert source.pulls.count() == 20_200


def test_a_day_that_is_over_adds_its_own_pulls_only(project: Project) -> None:
    source = source_of(project, date_from=FIRST - timedelta(days=2), date_to=None)
    source.pulls.all().delete()
    plan_due(now=NOW + timedelta(days=1))
    assert [pull.day for pull in source.pulls.all()] == [FIRST + timedelta(days=1)]


def test_the_first_day_is_the_first_that_is_planned(project: Project) -> None:
    tomorrow = FIRST + timedelta(days=1)
    source = source_of(project, date_from=tomorrow, date_to=None, now=NOW - timedelta(hours=16))  # the 20th in India
    assert not source.pulls.exists()
    plan_due(now=NOW + timedelta(days=1))
    assert [pull.day for pull in source.pulls.all()] == [tomorrow]


def test_a_day_that_is_not_over_in_the_new_zone_waits_for_its_end(project: Project) -> None:
    source = source_of(project, date_to=None, now=NOW - timedelta(hours=14))  # 22:00 UTC on the 19th
    assert [pull.day for pull in source.pulls.all()] == [FIRST]
    edit(source, now=NOW - timedelta(hours=14), timezone="America/Los_Angeles")
    assert not source.pulls.exists()
    plan_due(now=NOW)
    assert [pull.day for pull in source.pulls.all()] == [FIRST]


def test_reading_again_leaves_out_what_was_removed(project: Project, account: Account) -> None:
    account.days = {DAY: [[record(1)]], ("Other", 20261119): [[record(2)]], (NAME, 20261118): [[record(3)]]}
    source = turn(source_of(project, events=[NAME, "Other"], date_from=FIRST - timedelta(days=1)))
    edit(source, events=[NAME], date_from=FIRST)
    account.days = {day: [[*records, record(9)]] for day, [records] in account.days.items()}
    asked = len(account.begun)
    source.refresh_from_db()
    actions.read_again(source=source, by=TESTS, now=NOW)
    turn(source)
    assert account.begun[asked:] == [{"event_name": NAME, "from": 20261119, "to": 20261119}]
    assert sorted(numbers(project)) == [1, 2, 3, 9]


def test_what_was_captured_still_counts_when_it_is_removed_before_it_is_read_again(
    project: Project, account: Account
) -> None:
    account.days = {DAY: [[record(1)]]}
    source = turn(source_of(project))
    actions.read_again(source=source, by=TESTS, now=NOW)
    edit(source, events=["Other"])
    assert list(source.pulls.values_list("name", "state", "captured").order_by("name")) == [
        ("Other", "waiting", 0),
        (NAME, "done", 1),
    ]
    with pytest.raises(Invalid, match="present time zone"):
        edit(source, events=["Other"], timezone="UTC")
