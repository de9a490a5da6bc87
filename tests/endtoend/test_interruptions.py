"""The short form of make faults: interrupted runs lose nothing, double nothing after dedup, go on by themselves."""

from collections.abc import Iterator

import pytest

from tests.faults.__main__ import do, scene
from tests.faults.catalogue import LEASE, SHORT
from tests.faults.scene import Scene
from tests.faults.stops import stop_at_random


@pytest.fixture(scope="module")
def on() -> Iterator[Scene]:
    with scene(LEASE) as running:
        yield running


@pytest.mark.parametrize("fault", SHORT)
def test_a_fault_loses_and_doubles_nothing(on: Scene, fault: str) -> None:
    cost = do(fault, on)
    assert not cost.broken, cost


def test_stops_at_random_instants_send_nothing_late_and_count_what_arrived(on: Scene) -> None:
    assert "20 stops" in stop_at_random(on, 20)


def test_the_ledger_agrees_with_the_log_after_all_of_it(on: Scene) -> None:
    checked = on.portal.manage("check_ledger")
    assert checked.returncode == 0, checked.stdout
