"""Every event once: whatever walks over a day were begun, broken off, doubled, refused or repeated."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from django.db.models import F
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from events import catalogue
from events.models import EventName
from projects.models import Project
from sources import actions
from sources.models import Source
from tests.events.capture import NOW, stored
from tests.factories import TESTS, ProjectFactory
from tests.sources.account import Account, record
from tests.sources.conftest import source_of
from tests.sources.turns import numbers, only, turn, turn_by_turn

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "UTM Visited"
DAY = (NAME, 20261119)
DEAD = (200, {"status": "fail", "error": "Incorrect Usage", "code": 3})


@pytest.fixture
def source(project: Project, account: Account) -> Source:
    return source_of(project)


def read_again(source: Source) -> None:
    actions.read_again(source=source, by=TESTS, now=NOW)
    turn(source)


def name_of(project: Project) -> EventName:
    """Of the events of the day; there from the start, so that it can be discarded."""
    values = {"kind": "system", "first_seen_at": NOW}
    return EventName.objects.get_or_create(project=project, name=NAME, defaults=values)[0]


def discard(project: Project) -> None:
    catalogue.discard(name=name_of(project), by=TESTS, now=NOW)


def restore(project: Project) -> None:
    catalogue.restore(name=name_of(project), by=TESTS, now=NOW)


def test_cursors_that_died_many_times_bring_nothing_twice(project: Project, account: Account, source: Source) -> None:
    account.days[DAY] = [[record(n)] for n in range(6)]
    turn_by_turn(source, 4)  # the cursor, and three pages
    for _ in range(5):
        account.faults = [DEAD]
        turn_by_turn(source, 2)  # it dies, and the day is begun again
    turn(source)
    turn(source)
    assert numbers(project) == [0, 1, 2, 3, 4, 5]
    pull = only(source)
    assert (pull.state, pull.read, pull.known, pull.captured) == ("done", 6, 3, 6)


def test_alike_events_that_were_refused_come_when_their_name_is_restored(
    project: Project, account: Account, source: Source
) -> None:
    discard(project)
    account.days[DAY] = [[record(1)], [record(1)], [record(1)]]
    turn(source)
    assert (numbers(project), only(source).refused) == ([], 3)
    restore(project)
    read_again(source)
    assert numbers(project) == [1, 1, 1]
    assert (only(source).known, only(source).refused, only(source).captured) == (0, 0, 3)


def test_a_bad_record_does_not_stand_for_a_good_one_that_is_alike(
    project: Project, account: Account, source: Source
) -> None:
    bad = record(1, identity="x" * 2_000)  # of the same device, so of the same fingerprint
    account.days[DAY] = [[bad, record(1)]]
    turn(source)
    read_again(source)
    assert numbers(project) == [1]
    assert (only(source).known, only(source).refused) == (1, 1)
    account.days[DAY] = [[record(1), record(1)]]
    read_again(source)
    assert numbers(project) == [1, 1]


class Walk(NamedTuple):
    """pages: records as number and whether they are good. killed, discarded: places of pages. dies_at: of a page."""

    pages: list[list[tuple[int, bool]]]
    killed: set[int]
    discarded: set[int]
    dies_at: int | None

    @property
    def accepted(self) -> Counter[int]:
        """Good records of each number, on the pages that were read while the name was taken."""
        return _good(page for place, page in self._read() if place not in self.discarded)

    @property
    def most(self) -> Counter[int]:
        """Those on discarded pages before these, too: their number tells which of all were captured before."""
        last = max((place for place, _ in self._read() if place not in self.discarded), default=-1)
        return _good(self.pages[: last + 1])

    def _read(self) -> list[tuple[int, list[tuple[int, bool]]]]:
        return list(enumerate(self.pages[: self.dies_at]))


def _good(pages: Iterable[list[tuple[int, bool]]]) -> Counter[int]:
    return Counter(n for page in pages for n, is_good in page if is_good)


PLACES = st.sets(st.integers(0, 2), max_size=2)
RECORDS = st.tuples(st.sampled_from([0, 0, 0, 1]), st.sampled_from([True, True, True, False]))
WALKS = st.builds(
    Walk,
    st.lists(st.lists(RECORDS, max_size=3), min_size=1, max_size=3),
    killed=PLACES,
    discarded=st.just(set()) | st.just({0, 1, 2}) | PLACES,
    dies_at=st.none() | st.integers(0, 2),
)


@settings(
    max_examples=25,
    phases=[Phase.generate],  # to make a failing example smaller would take minutes: its seed makes it again
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(walks=st.lists(WALKS, min_size=2, max_size=5))
def test_any_walks_capture_as_many_as_one_of_them_brought(account: Account, walks: list[Walk]) -> None:
    project = ProjectFactory(timezone="UTC")
    source = source_of(project)
    for walk in walks:
        take(project, account, source, walk)
    captured = Counter(numbers(project))
    for n in (0, 1):
        # The two are one, but where a name was discarded or restored during a walk.
        assert max(walk.accepted[n] for walk in walks) <= captured[n] <= max(walk.most[n] for walk in walks)
    assert len({row.uid for row in stored(project)}) == captured.total() == only(source).captured


def take(project: Project, account: Account, source: Source, walk: Walk) -> None:
    """One walk, a request after another; the pull is ready for the next one afterwards."""
    account.days[DAY] = [
        [record(n, **({} if is_good else {"identity": "x" * 2_000})) for n, is_good in page] for page in walk.pages
    ]
    turn_by_turn(source, 1)
    for place in range(len(walk.pages)):
        if place == walk.dies_at:
            account.faults = [DEAD]
            turn_by_turn(source, 1)
            return
        if place in walk.killed:
            account.on_page = lambda: Source.objects.filter(pk=source.pk).update(fence=F("fence") + 1)
            turn_by_turn(source, 1)
            account.on_page = lambda: None
        (discard if place in walk.discarded else restore)(project)
        turn_by_turn(source, 1)
    assert only(source).state == "done"
    actions.read_again(source=source, by=TESTS, now=NOW)
