"""Reading the profile log like the event log, and all people once, as they are now."""

from datetime import timedelta
from uuid import UUID, uuid5

import orjson
import pytest
from django.db import connection

from events import counts, positions, store
from events.logs import CHANGES, ProfileRow, people
from events.models import Person, ProfileChange
from projects.models import Project
from tests.events.capture import NOW, capture, event, profile
from tests.events.rows import write_profiles
from tests.factories import PersonFactory, ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)
RUN = UUID(int=7)


@pytest.fixture
def project() -> Project:
    positions.set_up()
    made: Project = ProjectFactory()
    return made


def changes(project: Project, *, limit: int = 100) -> list[ProfileRow]:
    page = store.read_by_position(
        filter=store.Filter(project.pk, log=CHANGES),
        from_tx=0,
        until_tx=positions.horizon(),
        after=(0, 0),
        limit=limit,
    )
    return [row for row in page.rows if isinstance(row, ProfileRow)]


def all_people(project: Project, *, limit: int = 100, until: int | None = None, **where: object) -> list[ProfileRow]:
    found, after, exhausted = [], (0, 0), False
    until_tx = positions.ceiling() if until is None else until
    while not exhausted:
        page = store.read_people(
            filter=store.Filter(project.pk, log=people(RUN), **where),  # type: ignore[arg-type]
            until_tx=until_tx,
            after=after,
            limit=limit,
        )
        found += page.rows
        after, exhausted = page.end, page.exhausted
    return [row for row in found if isinstance(row, ProfileRow)]


def test_a_change_brings_what_it_set_and_what_it_removed(project: Project) -> None:
    capture(project, profile("asha", City="Pune", Tags=["a"], Old=None), event("asha"))
    (row,) = changes(project)
    change = ProfileChange.objects.get()
    assert (row.id, row.uid, row.tx_id, row.person_id) == (
        change.pk,
        str(change.uid).encode(),
        change.tx_id,
        change.person_id,
    )
    assert (orjson.loads(row.properties), row.removed) == ({"City": "Pune", "Tags": ["a"]}, ["Old"])
    assert (row.occurred_at, row.time_ms) == (NOW, int(NOW.timestamp() * 1000))
    assert store.read_by_ids(project.pk, [row.id, row.id + 1], CHANGES) == {row.id: row}
    assert not row.plain


def test_names_that_were_typed_in_another_case_are_one_key(project: Project) -> None:
    capture(project, profile("asha", EMAIL="asha@example.com", phone=None, name="Asha", Phone2="x"))
    (row,) = changes(project)
    assert orjson.loads(row.properties) == {"Email": "asha@example.com", "Name": "Asha", "Phone2": "x"}
    assert row.removed == ["Phone"]


def test_a_person_is_read_as_they_are_now(project: Project) -> None:
    capture(project, profile("asha", Name="Asha", Email="asha@example.com", City="Mumbai", Old=1))
    capture(project, profile("asha", City="Pune", Old=None, Email=None), now=NOW + timedelta(hours=1))
    (row,) = all_people(project)
    person = Person.objects.get()
    assert orjson.loads(row.properties) == {"Name": "Asha", "City": "Pune"}
    assert (row.id, row.person_id, row.tx_id, list(row.removed)) == (person.pk, person.pk, 0, [])
    assert (row.identity, row.clevertap_id, row.occurred_at) == ("asha", person.clevertap_id, NOW + timedelta(hours=1))
    assert row.uid == str(uuid5(RUN, person.clevertap_id)).encode()
    assert store.read_by_ids(project.pk, [row.id], people(RUN)) == {row.id: row}


def test_pages_hold_each_person_once_and_lanes_part_them(project: Project) -> None:
    write_profiles(project, 25)
    PersonFactory()
    ids = list(project.people.order_by("pk").values_list("pk", flat=True))
    assert [row.id for row in all_people(project, limit=4)] == ids
    parts = [[row.id for row in all_people(project, lane=(index, 3))] for index in range(3)]
    assert sorted(row_id for part in parts for row_id in part) == ids
    assert all(parts)


def test_who_was_stored_at_or_after_the_ceiling_is_passed_over(project: Project) -> None:
    capture(project, profile("asha"))
    ceiling = positions.ceiling()
    capture(project, profile("asha", City="Pune"), profile("ravi"))
    (row,) = all_people(project, until=ceiling)
    assert (row.identity, orjson.loads(row.properties)) == ("asha", {"City": "Pune"})
    assert len(all_people(project)) == 2
    where = store.Filter(project.pk, log=people(RUN))
    assert counts.count_people(filter=where, until_tx=ceiling, cursor=(0, 2**62)) == 1
    assert counts.count_people(filter=where, until_tx=ceiling, cursor=(0, row.id - 1)) == 0


def test_people_of_before_positions_were_kept_are_below_every_ceiling(project: Project) -> None:
    PersonFactory(project=project)
    assert Person.objects.get().tx_id == 0
    assert len(all_people(project)) == 1


def test_estimates_of_profiles_and_people(project: Project) -> None:
    write_profiles(project, 60)
    write_profiles(ProjectFactory(), 60)
    write_profiles(project, 60)
    log, everybody = store.Filter(project.pk, log=CHANGES), store.Filter(project.pk, log=people(RUN))
    day = {"start": NOW - timedelta(days=90), "end": NOW + timedelta(days=90)}
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_profilechange SET received_at = %s", [NOW])
    assert counts.estimate(filter=everybody) == counts.estimate(filter=log, **day) == 120
    assert counts.estimate(filter=log, from_tx=0, until_tx=positions.horizon()) == 120
    for where, window in ((everybody, {}), (log, day), (log, {"from_tx": 0, "until_tx": positions.horizon()})):
        assert 100 <= counts.estimate(filter=where, exact_rows=10, **window) <= 200  # type: ignore[arg-type]
