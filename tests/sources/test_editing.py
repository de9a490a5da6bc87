"""Editing a source while it is read, planned or very old: what was asked for last holds."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from projects.models import Project
from sources import actions
from sources.models import Source
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
