"""What the page of a source shows."""

from datetime import date, timedelta

import pytest

from projects.models import Project
from sources import actions, progress
from sources.models import Pull, Source
from tests.events.capture import NOW
from tests.factories import TESTS
from tests.sources.account import Account, record
from tests.sources.conftest import source_of
from tests.sources.turns import turn, turn_by_turn

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def old(project: Project) -> Source:
    """Of 40 days, all of them read, one an hour."""
    source = source_of(project, date_from=date(2026, 10, 11), events=["Old", "New"])
    for number, pull in enumerate(source.pulls.filter(name="Old").order_by("day")):
        finished_at = NOW - timedelta(days=9) + timedelta(hours=number)
        Pull.objects.filter(pk=pull.pk).update(state=Pull.State.DONE, finished_at=finished_at)
    return source


def shown(source: Source) -> list[tuple[str, int]]:
    return [(pull.name, pull.day.day) for pull in progress.last_pulls(source)]


def test_the_day_that_is_read_stands_first_however_early_it_is(account: Account, old: Source) -> None:
    account.days = {("New", 20261011): [[record(1)], [record(2)]]}
    assert (shown(old)[0], len(shown(old))) == (("Old", 19), 30)
    turn_by_turn(old, 2)
    assert shown(old)[:2] == [("New", 11), ("Old", 19)]
    turn_by_turn(old, 3)
    assert shown(old)[:3] == [("New", 12), ("New", 11), ("Old", 19)]


def test_a_day_that_is_read_again_stands_first_too(project: Project, account: Account, old: Source) -> None:
    account.days = {("Old", 20261011): [[], []], ("New", 20261011): [[]]}
    turn(old)
    actions.read_again(source=old, by=TESTS, now=NOW)
    Pull.objects.filter(name="New").update(state=Pull.State.DONE)
    turn_by_turn(old, 2)
    assert shown(old)[0] == ("Old", 11)
