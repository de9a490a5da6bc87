"""After 413 a run remembers the size that works, and grows it back slowly."""

from exports.models import Shard, Status
from tests.exports.conftest import deliver, work_once


def test_one_record_that_is_too_large_costs_a_search_and_no_more(capture, one_time, sandbox):
    capture(1999)
    capture(1, name="Poison", identity="person-0001")
    capture(2000)
    sandbox.faults({"kind": "too_large", "contains": "Poison"})
    export = deliver(one_time())
    assert (export.status, export.delivered, export.rejected) == (Status.DONE, 3999, 1)
    assert len(sandbox.requests()) <= 2 * 11 + 5  # halving 2,000 takes eleven steps
    assert Shard.objects.get().batch_records >= 1000


def test_the_rest_of_a_slice_is_cut_to_the_size_that_works(capture, one_time, sandbox):
    capture(6000)
    sandbox.faults({"kind": "too_large", "over_events": 700})
    assert deliver(one_time()).delivered == 6000
    sizes = [request["events"] for request in sandbox.requests()]
    assert sizes[:7] == [2000, 1000, 500, 500, 1000, 500, 500]
    assert set(sizes[7:]) == {500}
    assert Shard.objects.get().batch_records == 500


def test_a_slice_without_another_413_makes_the_next_one_try_twice_as_many(capture, one_time, sandbox):
    capture(3000)
    export = one_time()
    Shard.objects.update(batch_records=500)
    work_once(export)
    assert Shard.objects.get().batch_records == 1000
    assert [request["events"] for request in sandbox.requests()] == [500] * 6
