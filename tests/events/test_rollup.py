"""Counters and last-seen: right after any number of steps, kills and helpers, and in the project's own days."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection, transaction

from events.models import DailyCount, EventName, PropertySeen, RollupPosition
from events.rollup import PROPERTIES, SEE_PROPERTIES, roll_up_all
from events.tasks import roll_up
from projects.models import Project
from tests.events.capture import NOW, at_once, capture, event
from tests.events.rows import committed, name_in, writer
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    return ProjectFactory(timezone="Asia/Kolkata")


def counts(project: Project) -> dict[str, int]:
    return dict(EventName.objects.filter(project=project).values_list("name", "count"))


def count_and_die() -> None:
    with transaction.atomic():
        assert roll_up_all() == len(RollupPosition.Kind)
        raise KeyboardInterrupt


def at(moment: datetime) -> int:
    return int(moment.timestamp())


def test_names_have_their_counts_and_when_they_were_last_seen(project: Project) -> None:
    capture(project, event(ts=at(NOW)), event(ts=at(NOW - timedelta(days=2))), event(name="Searched"))
    roll_up()
    assert counts(project) == {"Product Viewed": 2, "Searched": 1}
    assert EventName.objects.get(name="Product Viewed").last_seen_at == NOW


def test_days_are_those_of_the_project(project: Project) -> None:
    before_midnight = datetime(2026, 11, 18, 18, 29, 59, tzinfo=UTC)  # 23:59:59 in India
    capture(project, event(ts=at(before_midnight)), event(ts=at(before_midnight) + 1))
    roll_up_all()
    assert dict(DailyCount.objects.values_list("day", "count")) == {date(2026, 11, 18): 1, date(2026, 11, 19): 1}


def test_a_second_time_counts_nothing_twice(project: Project) -> None:
    capture(project, event(), event())
    roll_up_all()
    assert roll_up_all() == 0
    capture(project, event())
    roll_up_all()
    assert counts(project) == {"Product Viewed": 3}
    assert DailyCount.objects.get().count == 3


def test_steps_of_any_size_count_the_same(project: Project) -> None:
    for size in (1, 5, 2, 9, 1, 1, 4):
        capture(project, *(event() for _ in range(size)))
    assert roll_up_all(step_rows=3) > 3
    assert counts(project) == {"Product Viewed": 23}


def test_a_kill_in_the_middle_of_a_step_leaves_counts_and_cursor_together(project: Project) -> None:
    capture(project, event(), event())
    with pytest.raises(KeyboardInterrupt):
        count_and_die()
    assert counts(project) == {"Product Viewed": 0}
    roll_up_all()
    assert counts(project) == {"Product Viewed": 2}


def seen(project: Project) -> dict[tuple[str, str], int]:
    rows = PropertySeen.objects.filter(name__project=project)
    return {(row.key, row.type): row.count for row in rows}


def test_properties_are_seen_with_their_types(project: Project) -> None:
    capture(project, event(data={"Price": 1, "When": "$D_1700000000", "Tags": ["a"], "Gift": True, "Note": None}))
    capture(project, event(data={"Price": "1,00", "Item": {"a": 1}}, ts=at(NOW)), event(data={"Price": 2.5}))
    roll_up()
    assert seen(project) == {
        ("Price", "number"): 2,
        ("Price", "string"): 1,
        ("When", "date"): 1,
        ("Tags", "array"): 1,
        ("Gift", "boolean"): 1,
        ("Note", "null"): 1,
        ("Item", "object"): 1,
    }
    capture(project, event(data={"Price": 3}))
    roll_up()
    assert seen(project)["Price", "number"] == 3
    assert PropertySeen.objects.get(type="object").last_seen_at == NOW


def test_properties_that_programs_make_up_come_to_an_end(project: Project) -> None:
    capture(project, event(data={"Price": 1}))
    roll_up()
    for step in range(3):
        capture(project, event(data={"Price": 1, **{f"made-up {step} {n}": n for n in range(200)}}))
        roll_up()
    capture(project, event(name="Other", data={"Price": 1}))
    roll_up()
    assert PropertySeen.objects.filter(name__name="Product Viewed").count() == PROPERTIES
    assert PropertySeen.objects.get(key="Price", name__name="Product Viewed").count == 4
    assert PropertySeen.objects.filter(name__name="Other").count() == 1


def test_what_a_name_has_is_counted_once_for_all_that_it_brings(project: Project) -> None:
    capture(project, event(data={f"made-up {n}": n for n in range(200)}))
    values = {"project": project.pk, "from_tx": 0, "until_tx": 2**62, "properties": PROPERTIES}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {SEE_PROPERTIES}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "SubPlan" not in plan, "it would run for each property"


def test_a_late_commit_is_counted_when_it_comes(project: Project) -> None:
    name = name_in(project)
    with writer() as late:
        late.event(name)
        committed(name)
        roll_up_all()
        assert counts(project) == {"Product Viewed": 0}
        late.raw.commit()
    roll_up_all()
    assert counts(project) == {"Product Viewed": 2}


def test_several_at_once_count_each_event_once(project: Project) -> None:
    for _ in range(20):
        capture(project, *(event() for _ in range(5)))
    assert at_once(*[lambda: roll_up_all(step_rows=10)] * 3) == []
    roll_up_all()
    assert counts(project) == {"Product Viewed": 100}


def test_an_idle_project_costs_no_write(project: Project) -> None:
    capture(project, event())
    roll_up_all()
    before = list(RollupPosition.objects.values_list("tx_id"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
    assert roll_up_all() == 0
    assert list(RollupPosition.objects.values_list("tx_id")) == before


def test_projects_are_counted_apart(project: Project) -> None:
    other = ProjectFactory()
    capture(project, event())
    capture(other, event(), event())
    roll_up_all()
    assert (counts(project), counts(other)) == ({"Product Viewed": 1}, {"Product Viewed": 2})


def test_the_turn_ends_when_its_time_is_over(project: Project) -> None:
    capture(project, event())
    assert roll_up_all(seconds=0) == 0
    assert roll_up_all(seconds=60) == len(RollupPosition.Kind)
