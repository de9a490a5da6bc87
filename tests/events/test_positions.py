"""The horizon, the ceiling, and what happens to them when a dump is restored. Real commits throughout."""

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from events import positions, store
from events.models import Event, EventName, LogBase
from tests.events.rows import committed, name_in, writer
from tests.factories import ExportFactory, ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def name() -> EventName:
    return name_in(ProjectFactory())


def below(name: EventName, until_tx: int) -> list[int]:
    where = store.Filter(name.project_id)
    page = store.read_by_position(filter=where, from_tx=0, until_tx=until_tx, after=(0, 0), limit=100)
    return [row.id for row in page.rows]


def restore_elsewhere() -> None:
    """Make the log look as if it came from another cluster."""
    LogBase.objects.update(system_identifier=7)


def test_what_is_committed_lies_below_the_horizon(name: EventName) -> None:
    event = committed(name)
    assert below(name, positions.horizon()) == [event]


def test_an_open_transaction_with_a_lower_id_holds_the_horizon(name: EventName) -> None:
    with writer() as early:
        first = early.event(name)
        second = committed(name)
        held = positions.horizon()
        assert below(name, held) == []
        assert below(name, positions.ceiling()) == [second]
        early.raw.commit()
    assert positions.horizon() > held
    assert below(name, positions.horizon()) == [first, second]


def test_a_late_commit_falls_into_the_next_window(name: EventName) -> None:
    before = committed(name)
    with writer() as late:
        slow = late.event(name)
        quick = committed(name)
        boundary = positions.horizon()
        late.raw.commit()
    first_window = below(name, boundary)
    page = store.read_by_position(
        filter=store.Filter(name.project_id), from_tx=boundary, until_tx=positions.horizon(), after=(0, 0), limit=100
    )
    assert first_window == [before]
    assert [row.id for row in page.rows] == [slow, quick]


def test_a_rollback_leaves_a_gap_and_lets_the_horizon_go_on(name: EventName) -> None:
    with writer() as one:
        one.event(name)
        after_gap = committed(name)
        one.raw.rollback()
    assert below(name, positions.horizon()) == [after_gap]


def test_the_horizon_never_passes_ones_own_transaction(name: EventName) -> None:
    with transaction.atomic():
        own = positions.own_tx_id()
        assert positions.horizon() == own
        committed(name)
        assert positions.horizon() == own
    assert positions.horizon() > own


def test_savepoints_keep_the_position_of_their_transaction() -> None:
    with transaction.atomic():
        outer = positions.own_tx_id()
        with transaction.atomic():
            assert positions.own_tx_id() == outer


def test_rows_get_no_position_outside_a_transaction() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        positions.own_tx_id()


def test_everything_committed_before_a_click_lies_below_the_ceiling(name: EventName) -> None:
    with writer() as early:
        early.event(name)
        answered = committed(name)
        ceiling = positions.ceiling()
        assert positions.horizon() < ceiling
        later = committed(name)
        early.raw.rollback()
    assert positions.horizon() >= ceiling
    assert answered in below(name, ceiling)
    assert later not in below(name, ceiling)


def test_a_restored_dump_stops_capture_and_delivery(name: EventName) -> None:
    restore_elsewhere()
    for read in (positions.horizon, positions.ceiling):
        with pytest.raises(positions.RestoredDump, match=r"manage\.py rebase_positions"):
            read()
    with pytest.raises(positions.RestoredDump), transaction.atomic():
        positions.own_tx_id()


def test_rebase_raises_every_new_position_above_all_that_is_stored(name: EventName) -> None:
    committed(name)
    Event.objects.update(tx_id=5_000_000)
    ExportFactory(next_tx_id=7_000_000)
    restore_elsewhere()
    call_command("rebase_positions")
    assert positions.horizon() > 7_000_000
    assert Event.objects.get().tx_id == 5_000_000
    new = committed(name)
    assert Event.objects.get(pk=new).tx_id > 7_000_000


def test_rebase_leaves_a_healthy_log_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = LogBase.objects.get().base
    call_command("rebase_positions")
    assert LogBase.objects.get().base == before
    assert "Nothing to do" in capsys.readouterr().out


def test_an_emptied_database_has_its_base_again(name: EventName) -> None:
    LogBase.objects.all().delete()
    call_command("flush", interactive=False, verbosity=0)
    assert positions.horizon() > 0


def test_reading_positions_takes_no_transaction_id() -> None:
    with connection.cursor() as cursor, transaction.atomic():
        positions.horizon()
        positions.ceiling()
        cursor.execute("SELECT pg_current_xact_id_if_assigned()")
        assert cursor.fetchone() == (None,)
