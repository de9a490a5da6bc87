"""Every line of the table of Amplitude's answers, over a real socket: what becomes of the records, and at what cost.

Sources: Amplitude, HTTP V2 and Batch Event Upload, as told in docs/amplitude.md. Passing faults that repeat until they
are over stand in test_delivery.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

import pytest

from events.models import Person
from exports import actions
from exports.models import Export, Held, Rejected, Shard, Status
from partners.actions import due_probes, edit_integration
from partners.models import Integration
from partners.tasks import probe
from tests.exports.conftest import ANN, deliver, now, skip_waits, unique, work_once

POISON = "Poison"


def mixed(capture: Any, good: int, bad: int) -> None:
    """`bad` poisonous events spread evenly among `good` good ones."""
    total = good + bad
    for number in range(total):
        is_bad = (number + 1) * bad // total > number * bad // total
        capture(1, name=POISON if is_bad else "Product Viewed", identity=f"person-{number % 7:04}")


def counts(export: Export) -> tuple[str, int, int, int]:
    row = Export.objects.with_counts().get(pk=export.pk)
    assert row.read == row.delivered + row.rejected + row.held + row.skipped
    return row.status, row.delivered, row.rejected, row.held


def requests(sandbox: Any) -> int:
    return len(sandbox.requests())


def test_200_delivers_the_batch_with_one_request(capture, one_time, sandbox):
    capture(100)
    assert counts(deliver(one_time())) == (Status.DONE, 100, 0, 0)
    assert requests(sandbox) == 1


MAPS = ("events_with_invalid_fields", "events_with_missing_fields", "events_with_invalid_id_lengths")


@pytest.mark.parametrize("map_name", MAPS)
def test_400_with_indexes_rejects_these_and_resends_the_rest_at_once(capture, one_time, sandbox, map_name):
    mixed(capture, 40, 4)
    sandbox.faults({"kind": "refuse_events", "event_type": POISON, "map": map_name, "field": "time"})
    assert counts(deliver(one_time())) == (Status.DONE, 40, 4, 0)
    assert requests(sandbox) == 2
    assert {row.field for row in Rejected.objects.all()} == {"time"}
    assert all(f'"{POISON}"' in row.payload and row.message for row in Rejected.objects.all())


@pytest.mark.parametrize(("good", "bad"), [(133, 67), (30, 1), (0, 20)])
def test_400_that_names_the_first_bad_index_only_delivers_all_good_ones(capture, one_time, sandbox, good, bad):
    mixed(capture, good, bad)
    sandbox.faults({"kind": "refuse_events", "event_type": POISON, "first_only": True})
    assert counts(deliver(one_time())) == (Status.DONE, good, bad, 0)
    assert len(unique(sandbox)) == good
    assert requests(sandbox) <= 2 * bad + 1
    sent = sum(request["events"] for request in sandbox.requests())
    assert sent <= (good + bad) * 8  # halving: about n log n, where the whole rest each time would be bad * n / 2


def test_400_with_a_page_instead_of_json_is_bisected_to_the_culprit(capture, one_time, sandbox):
    mixed(capture, 60, 1)
    sandbox.faults({"kind": "bad_request", "html": True, "contains": POISON})
    assert counts(deliver(one_time())) == (Status.DONE, 60, 1, 0)
    assert requests(sandbox) <= 16


def test_400_invalid_key_rejects_nothing_never_shows_the_key_and_is_over_once_mended(
    capture, one_time, sandbox, integration
):
    capture(10)
    sandbox.faults({"kind": "invalid_key"})
    export = one_time()
    work_once(export)
    assert counts(export) == (Status.RUNNING, 0, 0, 0)
    fault = Integration.objects.get().setup_fault
    assert "did not accept the API key" in fault
    assert integration.secrets["api_key"] not in fault
    work_once(export)
    assert requests(sandbox) == 1
    sandbox.clear_faults()
    edit_integration(integration=integration, nickname="Growth", values={}, by=ANN, now=now())
    skip_waits(export)
    done = deliver(export)
    assert (*counts(done), done.needs_attention) == (Status.DONE, 10, 0, 0, False)


def test_400_silenced_events_are_rejected_to_be_sent_again_later(capture, one_time, sandbox):
    capture(30, people=3)
    device = _device_of("person-0001")
    sandbox.faults({"kind": "silence", "devices": [device]})
    assert counts(deliver(one_time())) == (Status.DONE, 20, 10, 0)
    assert {row.reason for row in Rejected.objects.all()} == {"silenced"}


def test_403_on_one_event_bisects_it_out(capture, one_time, sandbox):
    mixed(capture, 60, 1)
    sandbox.faults({"kind": "forbidden", "contains": POISON})
    assert counts(deliver(one_time())) == (Status.DONE, 60, 1, 0)


def test_403_on_seven_neighbours_is_poison_and_no_wall(capture, one_time, sandbox):
    capture(30)
    capture(7, name=POISON)
    capture(30)
    sandbox.faults({"kind": "forbidden", "contains": POISON})
    assert counts(deliver(one_time())) == (Status.DONE, 60, 7, 0)
    assert not Integration.objects.get().setup_fault


@pytest.mark.parametrize("contains", ["event_type", "api_key"], ids=["not on an empty list", "on an empty list, too"])
def test_403_on_every_event_is_a_wall_that_rejects_nothing(capture, one_time, sandbox, contains):
    capture(40)
    sandbox.faults({"kind": "forbidden", "contains": contains})
    export = one_time()
    work_once(export)
    assert counts(export) == (Status.RUNNING, 0, 0, 0)
    assert Integration.objects.get().setup_fault
    assert Export.objects.get().needs_attention
    assert not Rejected.objects.exists()


def test_a_wall_that_comes_up_half_way_rejects_nothing(capture, one_time, sandbox):
    capture(2_100)
    export = one_time()
    sandbox.faults({"kind": "delay", "seconds": 0.5, "count": 1})
    with ThreadPoolExecutor(1) as pool:
        wall = pool.submit(_wall_after_the_first_request, sandbox)
        work_once(export)
        wall.result()
    assert counts(export) == (Status.RUNNING, 2_000, 0, 0)
    assert Integration.objects.get().setup_fault


def test_many_neighbours_of_poison_are_all_bisected_out(capture, one_time, sandbox):
    capture(2_100)
    sandbox.faults({"kind": "forbidden", "contains": '"Number": 20'})
    status, delivered, rejected, _ = counts(deliver(one_time()))
    assert (status, delivered, rejected) == (Status.DONE, 2_100 - 111, 111)  # 20, 200 to 209, 2000 to 2099


def test_413_halves_and_remembers_the_working_size(capture, one_time, sandbox):
    capture(1000)
    sandbox.faults({"kind": "too_large", "over_events": 300})
    assert counts(deliver(one_time())) == (Status.DONE, 1000, 0, 0)
    assert Shard.objects.get().batch_records == 250
    assert requests(sandbox) == 7


def test_413_for_a_single_event_rejects_it_with_its_cure(capture, one_time, sandbox):
    mixed(capture, 20, 1)
    sandbox.faults({"kind": "too_large", "contains": POISON})
    assert counts(deliver(one_time())) == (Status.DONE, 20, 1, 0)
    assert "too large" in Rejected.objects.get().message


def test_429_with_named_ids_holds_only_those_and_keeps_their_order(capture, one_time, sandbox):
    capture(40, people=4)
    sandbox.faults({"kind": "throttle", "users": ["person-0001"], "count": 1})
    export = one_time()
    work_once(export)
    assert counts(export) == (Status.RUNNING, 30, 0, 10)
    assert Held.objects.count() == 10
    assert not export.runs.get().reading
    skip_waits(export)
    assert counts(deliver(export)) == (Status.DONE, 40, 0, 0)
    times = [event["time"] for event in unique(sandbox) if event["user_id"] == "person-0001"]
    assert (times, len(times)) == (sorted(times), 10)


def test_429_without_ids_leaves_the_whole_integration_alone(capture, one_time, sandbox):
    capture(10)
    sandbox.faults({"kind": "throttle_all", "count": 1})
    first, second = one_time(), one_time()
    work_once(first)
    work_once(second)
    assert requests(sandbox) == 1
    assert Integration.objects.get().paused_until is not None


def test_429_daily_quota_holds_for_hours_and_lets_the_others_pass(capture, one_time, sandbox):
    capture(40, people=4)
    sandbox.faults({"kind": "quota", "users": ["person-0002"]})
    export = one_time()
    work_once(export)
    assert counts(export) == (Status.RUNNING, 30, 0, 10)
    held = Held.objects.first()
    assert held is not None
    assert (held.not_before - now()).total_seconds() > 1800


@pytest.mark.parametrize("status", [401, 404, 405])
def test_an_address_that_is_no_ingestion_is_a_setup_fault(capture, one_time, sandbox, status):
    capture(5)
    sandbox.faults({"kind": "status", "status": status})
    export = one_time()
    work_once(export)
    assert counts(export) == (Status.RUNNING, 0, 0, 0)
    assert Integration.objects.get().setup_fault


def test_a_redirect_is_not_followed_and_is_a_setup_fault(capture, one_time, sandbox):
    capture(5)
    sandbox.faults({"kind": "redirect", "location": sandbox.standard_url + "/batch"})
    export = one_time()
    work_once(export)
    assert "redirect" in Integration.objects.get().setup_fault
    assert [request["region"] for request in sandbox.requests()] == ["europe"]


@pytest.mark.parametrize("fault", ["500", "502", "503", "504", "close", "not_json"])
def test_an_answer_that_leaves_the_outcome_open_resends_the_same_bytes(capture, one_time, sandbox, fault):
    capture(50)
    kind = {"kind": "status", "status": int(fault)} if fault.isdigit() else {"kind": fault}
    accept = fault != "503"
    sandbox.faults({**kind, "count": 1, **({"accept": True} if accept else {})})
    export = one_time()
    work_once(export)
    assert Shard.objects.get().unconfirmed == (50 if accept else 0)
    skip_waits(export)
    assert counts(deliver(export)) == (Status.DONE, 50, 0, 0)
    assert len(unique(sandbox)) == 50
    assert len({event["event"]["insert_id"] for event in sandbox.events()}) == 50


def test_a_key_that_is_mended_at_the_partners_side_is_noticed_by_the_portal_itself(capture, one_time, sandbox):
    capture(10)
    sandbox.faults({"kind": "invalid_key"})
    export = one_time()
    work_once(export)
    later = now() + timedelta(minutes=2)
    assert due_probes(now=now()) == []
    (due,) = due_probes(now=later)
    probe(due)
    assert Integration.objects.get().setup_fault
    sandbox.clear_faults()
    assert due_probes(now=later) == []
    (due,) = due_probes(now=later + timedelta(minutes=2))
    probe(due)
    skip_waits(export)
    assert counts(deliver(export)) == (Status.DONE, 10, 0, 0)


def test_a_wall_that_lets_the_empty_list_pass_is_not_tried_every_minute(capture, one_time, sandbox):
    capture(40)
    sandbox.faults({"kind": "forbidden", "contains": "event_type"})
    work_once(one_time())
    assert due_probes(now=now() + timedelta(minutes=9)) == []
    assert len(due_probes(now=now() + timedelta(minutes=11))) == 1


def test_a_key_refused_for_events_alone_is_tried_less_and_less_often(capture, one_time, sandbox):
    """The empty list gets through each time, so each time the portal believes for a moment that it is mended."""
    capture(10)
    sandbox.faults({"kind": "invalid_key", "contains": "event_type"})
    export = one_time()
    waits = []
    for _ in range(6):
        work_once(export)
        integration = Integration.objects.get()
        waits.append(round((integration.probe_at - integration.setup_fault_at) / timedelta(minutes=1)))
        (due,) = due_probes(now=integration.probe_at)
        probe(due)
        assert not Integration.objects.get().setup_fault
        skip_waits(export)
    assert waits == [1, 2, 4, 8, 10, 10]
    sandbox.clear_faults()
    assert counts(deliver(export)) == (Status.DONE, 10, 0, 0)
    assert Integration.objects.get().recoveries == 0


def test_what_a_person_mends_begins_anew(capture, one_time, sandbox):
    capture(10)
    sandbox.faults({"kind": "invalid_key", "contains": "event_type"})
    export = one_time()
    Integration.objects.update(recoveries=5)
    work_once(export)
    actions.retry_export(export=export, by=ANN, now=now())
    skip_waits(export)
    work_once(export)
    integration = Integration.objects.get()
    assert round((integration.probe_at - integration.setup_fault_at) / timedelta(minutes=1)) == 1


def _device_of(identity: str) -> str:
    return Person.objects.get(identity=identity).clevertap_id


def _wall_after_the_first_request(sandbox: Any) -> None:
    """Faults are chosen when a request arrives: the one that is delayed now is still accepted."""
    deadline = monotonic() + 10
    while not sandbox.requests() and monotonic() < deadline:
        sleep(0.01)
    sandbox.faults({"kind": "forbidden", "contains": "event_type"})
