"""Failure policy: a run waits through outages, a setup fault stops its integration only, three days end the export."""

from datetime import timedelta

import pytest

from exports import actions, again
from exports.models import Export, Shard, Status
from partners.actions import create_integration
from partners.models import Integration
from tests.exports.conftest import ANN, KEY, deliver, edit, flow, now, skip_waits, work_once

OTHER_KEY = "f" * 32
DOWN = {"kind": "status", "status": 503}


@pytest.fixture
def standard(project, sandbox) -> Integration:
    """A second integration of the project, in the other region."""
    return create_integration(
        project=project,
        partner="amplitude",
        nickname="Second",
        values={"api_key": OTHER_KEY, "data_residency": "standard"},
        by=ANN,
        now=now(),
    )


def is_troubled(export: Export) -> bool:
    export.refresh_from_db()
    return bool(export.failing_since or export.last_error or export.needs_attention)


def go_on(export: Export, *, slices: int = 50) -> Export:
    skip_waits(export)
    return deliver(export, slices=slices)


def test_a_run_waits_through_an_outage_says_so_and_goes_on_by_itself(capture, one_time, sandbox):
    capture(5)
    export = one_time()
    sandbox.faults(DOWN)
    for _ in range(3):
        skip_waits(export)
        work_once(export)
    assert is_troubled(export)
    assert (export.status, "503" in export.last_error) == (Status.RUNNING, True)
    sandbox.clear_faults()
    export = go_on(export)
    assert (export.status, export.delivered, is_troubled(export)) == (Status.DONE, 5, False)


def test_an_outage_is_over_when_an_empty_list_is_accepted(capture, recurring, sandbox):
    export = deliver(recurring())
    Export.objects.update(failing_since=now() - timedelta(days=2), last_error="503")
    actions.run_now(export=export, by=ANN, now=now())
    assert not is_troubled(deliver(export))


def test_a_setup_fault_stops_only_its_integration(capture, one_time, sandbox, standard):
    capture(3)
    sandbox.faults({"kind": "invalid_key", "api_key": OTHER_KEY})
    healthy, faulty = one_time(), one_time(standard)
    assert deliver(healthy).status == Status.DONE
    assert deliver(faulty, slices=2).status == Status.RUNNING
    assert (is_troubled(healthy), is_troubled(faulty)) == (False, True)
    assert [bool(row.setup_fault) for row in Integration.objects.order_by("pk")] == [False, True]


@pytest.mark.parametrize("way", ["created", "edited", "continued"])
def test_an_export_that_comes_to_a_faulty_integration_says_so_at_once(live, sandbox, standard, integration, way):
    export = live()
    if way == "continued":
        export = actions.stop_export(export=export, by=ANN, now=now())
    Integration.objects.filter(pk=(standard if way == "edited" else integration).pk).update(setup_fault="Bad key.")
    if way == "created":
        export = live()
    elif way == "edited":
        export = edit(export, integration_id=standard.pk)
    else:
        export = again.continue_export(export=export, by=ANN, now=now())
    assert (export.needs_attention, export.last_error) == (True, "Bad key.")
    assert export.failing_since is not None


def test_a_live_export_leaves_a_faulty_integration_with_all_that_is_not_sent(capture, live, sandbox, standard):
    export = live()
    capture(2)
    work_once(export)
    sandbox.faults({"kind": "invalid_key", "api_key": KEY})
    capture(3)
    go_on(export, slices=2)
    assert is_troubled(export)
    export = edit(export, integration_id=standard.pk)
    assert not is_troubled(export)
    capture(1)
    flow(export)
    assert arrived(sandbox) == [2, 4]


def test_an_edit_of_a_live_export_does_not_wait_for_a_backoff(capture, live, sandbox, standard):
    export = live()
    sandbox.faults({**DOWN, "api_key": KEY})
    capture(3)
    work_once(export)
    assert Shard.objects.get().not_before > now()
    export = edit(export, integration_id=standard.pk)
    flow(export)
    assert arrived(sandbox) == [0, 3]


def arrived(sandbox) -> list[int]:
    """How many events came to the first integration's region with its key, and to the second's."""
    ways = ({"api_key": KEY, "region": "europe"}, {"api_key": OTHER_KEY, "region": "standard"})
    counts = [len(sandbox.events(**way)) for way in ways]
    assert sum(counts) == len(sandbox.events())
    return counts
