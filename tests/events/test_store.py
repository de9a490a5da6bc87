"""Reading the log: pages along both axes, filters that move the cursor, plans that follow an index."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from events import counts, positions, store
from events.logs import CHANGES, EVENTS, Log, people
from events.models import DailyCount, Event, EventName, Flag
from tests.events.rows import START, committed, name_in, write_profiles, writer
from tests.factories import PersonFactory, ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)
FUTURE = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def name() -> EventName:
    return name_in(ProjectFactory())


def pages_by_position(where: store.Filter, *, limit: int, from_tx: int = 0) -> list[store.Page]:
    pages, after = [], (0, 0)
    while not pages or not pages[-1].exhausted:
        page = store.read_by_position(
            filter=where, from_tx=from_tx, until_tx=positions.horizon(), after=after, limit=limit
        )
        pages.append(page)
        after = page.end
    return pages


def pages_by_time(
    where: store.Filter, *, limit: int, start: datetime = START, end: datetime = FUTURE
) -> list[store.Page]:
    pages: list[store.Page] = []
    after: tuple[Any, int] = (start, 0)
    while not pages or not pages[-1].exhausted:
        page = store.read_by_time(
            filter=where, start=start, end=end, until_tx=positions.horizon(), after=after, limit=limit
        )
        pages.append(page)
        after = page.end
    return pages


def ids(pages: list[store.Page]) -> list[int]:
    return [row.id for page in pages for row in page.rows]


def write(name: EventName, count: int) -> list[int]:
    with writer() as one:
        rows = one.events(name, count)
        one.raw.commit()
    return rows


def test_pages_by_position_hold_every_row_once_in_order(name: EventName) -> None:
    rows = write(name, 7) + write(name, 4)
    pages = pages_by_position(store.Filter(name.project_id), limit=3)
    assert ids(pages) == rows
    assert [len(page.rows) for page in pages] == [3, 3, 3, 2]


def test_pages_by_time_hold_every_row_once_in_order_of_time(name: EventName) -> None:
    late = committed(name, at=START + timedelta(hours=2))
    early = committed(name, at=START)
    twin = committed(name, at=START)
    assert ids(pages_by_time(store.Filter(name.project_id), limit=2)) == [early, twin, late]


def test_order_by_position_follows_the_transaction_not_the_id(name: EventName) -> None:
    with writer() as first, writer() as second:
        first.raw.execute("SELECT pg_current_xact_id()")
        in_second = second.event(name)
        in_first = first.event(name)
        second.raw.commit()
        first.raw.commit()
    assert in_second < in_first
    assert ids(pages_by_position(store.Filter(name.project_id), limit=10)) == [in_first, in_second]


def test_a_window_by_time_is_half_open(name: EventName) -> None:
    inside = committed(name, at=START)
    committed(name, at=START - timedelta(microseconds=1))
    committed(name, at=START + timedelta(days=1))
    pages = pages_by_time(store.Filter(name.project_id), limit=10, end=START + timedelta(days=1))
    assert ids(pages) == [inside]


def test_a_window_by_position_is_half_open(name: EventName) -> None:
    committed(name)
    boundary = positions.horizon()
    inside = committed(name)
    end = positions.horizon()
    committed(name)
    page = store.read_by_position(
        filter=store.Filter(name.project_id), from_tx=boundary, until_tx=end, after=(0, 0), limit=10
    )
    assert ids([page]) == [inside]


def test_by_time_rows_above_the_ceiling_are_passed_over(name: EventName) -> None:
    inside = committed(name)
    ceiling = positions.ceiling()
    write(name, 5)
    where, after, found, scans = store.Filter(name.project_id), (START, 0), [], 0
    while True:
        page = store.read_by_time(filter=where, start=START, end=FUTURE, until_tx=ceiling, after=after, limit=2)
        found, after, scans = found + ids([page]), page.end, scans + 1
        if page.exhausted:
            break
    assert found == [inside]
    assert scans == 4


def test_sparse_matches_move_the_cursor_over_what_does_not_match(name: EventName) -> None:
    rare = name_in(name.project, "Rare")
    rows = write(name, 9)
    match = committed(rare)
    pages = pages_by_position(store.Filter(name.project_id, name_ids=(rare.pk,)), limit=4)
    assert ids(pages) == [match]
    assert [len(page.rows) for page in pages] == [0, 0, 1]
    assert pages[0].end[1] == rows[3]
    assert pages[-1].end[0] > Event.objects.get(pk=match).tx_id


def test_an_exhausted_page_ends_behind_what_was_scanned_so_that_it_is_never_read_again(name: EventName) -> None:
    write(name, 3)
    where, until = store.Filter(name.project_id, name_ids=(name.pk + 1,)), positions.horizon()
    page = store.read_by_position(filter=where, from_tx=0, until_tx=until, after=(0, 0), limit=10)
    assert page == store.Page([], (until, 0), exhausted=True)


def test_an_empty_window_leaves_the_cursor_where_it_is(name: EventName) -> None:
    page = store.read_by_position(
        filter=store.Filter(name.project_id), from_tx=0, until_tx=positions.horizon(), after=(12, 3), limit=10
    )
    assert page == store.Page([], (12, 3), exhausted=True)


def test_a_selection_without_known_names_reads_nothing(name: EventName) -> None:
    committed(name)
    where = store.Filter(name.project_id, name_ids=())
    assert ids(pages_by_position(where, limit=10)) == []
    assert counts.estimate(filter=where, from_tx=0, until_tx=positions.horizon()) == 0


def test_lanes_part_the_log_without_overlap(name: EventName) -> None:
    rows = [committed(name, lane=lane) for lane in (0, 1, 2, 3, 1023)]
    parts = [ids(pages_by_position(store.Filter(name.project_id, lane=(index, 2)), limit=10)) for index in (0, 1)]
    assert parts == [[rows[0], rows[2]], [rows[1], rows[3], rows[4]]]


def test_what_was_received_before_the_start_does_not_match(name: EventName) -> None:
    committed(name, received_at=START - timedelta(seconds=1))
    inside = committed(name, received_at=START)
    assert ids(pages_by_position(store.Filter(name.project_id, received_from=START), limit=10)) == [inside]


def test_no_row_of_another_project_is_read(name: EventName) -> None:
    own = committed(name)
    foreign = committed(name_in(ProjectFactory()))
    assert ids(pages_by_position(store.Filter(name.project_id), limit=10)) == [own]
    assert list(store.read_by_ids(name.project_id, [own, foreign])) == [own]


def test_a_row_brings_what_a_payload_needs(name: EventName) -> None:
    committed(name, at=START + timedelta(milliseconds=123), flags=Flag.CUT)
    row = pages_by_position(store.Filter(name.project_id), limit=1)[0].rows[0]
    assert (row.name, row.identity, row.clevertap_id, row.properties) == ("Product Viewed", "asha", "__1", b'{"n": 1}')
    assert row.time_ms == int(START.timestamp()) * 1000 + 123
    assert len(row.uid) == 36
    assert row.plain
    assert row == store.read_by_ids(name.project_id, [row.id])[row.id]


@pytest.mark.parametrize("flag", [Flag.WELL_KNOWN, Flag.PARSE])
def test_flagged_rows_are_not_plain(name: EventName, flag: int) -> None:
    committed(name, flags=flag)
    assert not pages_by_position(store.Filter(name.project_id), limit=1)[0].rows[0].plain


def test_contacts_are_those_of_now() -> None:
    person = PersonFactory(email="asha@example.com", phone="+919876543210")
    assert store.contacts([person.pk, person.pk, 0]) == {person.pk: ("asha@example.com", "+919876543210")}
    assert store.contacts([]) == {}


def test_reading_leaves_the_connection_as_it_was(name: EventName) -> None:
    committed(name)
    pages_by_position(store.Filter(name.project_id), limit=10)
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_sort")
        assert cursor.fetchone() == ("on",)


@pytest.mark.parametrize(
    ("log", "axis", "index"),
    [
        (EVENTS, store.POSITION, "events_by_position"),
        (EVENTS, store.TIME, "events_by_time"),
        (CHANGES, store.POSITION, "changes_by_position"),
        (CHANGES, store.TIME, "changes_by_time"),
        (people(UUID(int=1)), store.PERSON, "people_by_project"),
    ],
)
@pytest.mark.parametrize("analysed", [False, True])
def test_a_page_walks_its_index_even_when_statistics_are_missing(
    name: EventName, log: Log, axis: Any, index: str, analysed: bool
) -> None:
    write(name, 2_000)
    write_profiles(name.project, 2_000)
    after = START if axis is store.TIME else 0
    values = {"project": name.project_id, "after": after, "after_id": 0, "until_tx": 10**12, "end": FUTURE, "limit": 9}
    with connection.cursor() as cursor:
        if analysed:
            cursor.execute("ANALYZE events_event, events_profilechange, events_person")
    with store.reader() as run:
        plan = "\n".join(line.decode() for (line,) in run(f"EXPLAIN SELECT * {axis.of(log).scanned}", values))
    assert f"Index Scan using {index}" in plan
    assert "Sort" not in plan
    assert "Filter" not in plan


def test_small_estimates_are_exact(name: EventName) -> None:
    write(name, 5)
    other = name_in(name.project, "Other")
    write(other, 3)
    where = store.Filter(name.project_id, name_ids=(other.pk,))
    assert counts.estimate(filter=where, from_tx=0, until_tx=positions.horizon()) == 3
    assert counts.estimate(filter=where, start=START, end=START + timedelta(seconds=2)) == 2


def test_large_estimates_are_reckoned(name: EventName) -> None:
    write(name, 60)
    other = name_in(ProjectFactory())
    write(other, 60)
    write(name, 60)
    where = store.Filter(name.project_id)
    assert 100 <= counts.estimate(filter=where, from_tx=0, until_tx=positions.horizon(), exact_rows=10) <= 200
    DailyCount.objects.create(name=name, day=START.date(), count=120)
    assert counts.estimate(filter=where, start=START, end=FUTURE, exact_rows=10) == 120
    assert counts.estimate(filter=where, start=START, end=START + timedelta(hours=1), exact_rows=10) == 120
