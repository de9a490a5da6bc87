"""The fault report counts by the rules of the house, not by what the sandbox says of itself."""

from dataclasses import replace
from typing import Any

import requests

from amplitude_client.sandbox import Sandbox
from tests.amplitude_client.wires import KEY
from tests.faults.scene import Cost, counted_twice, without_repeats

GOOD = Cost(
    fault="none",
    lost=0,
    doubled=0,
    doubled_after=0,
    out_of_order=0,
    seconds=19.9,
    requests=5,
    status="DONE",
    allowed=2_000,
    within=20.0,
)


def event(number: int, insert_id: str) -> dict[str, Any]:
    ids = {"user_id": "shopper-0001", "device_id": "device-0001", "insert_id": insert_id, "event_id": number}
    return {"event_type": "Searched", "time": 1_790_000_000_000, "event_properties": {"Number": number}, **ids}


def test_an_event_sent_again_under_another_insert_id_counts_twice() -> None:
    with Sandbox() as amplitude:
        for insert_id in ("first", "first", "other"):
            body = {"api_key": KEY, "events": [event(1, insert_id)]}
            assert requests.post(f"{amplitude.eu_url}/batch", json=body, timeout=5).status_code == 200
        arrived = amplitude.events()
    assert [arrival["duplicate"] for arrival in arrived] == [False, True, True]
    kept = without_repeats(arrived)
    assert (len(kept), counted_twice(kept)) == (2, 1)


def test_a_recovery_that_takes_too_long_breaks_the_rule() -> None:
    assert GOOD.broken == []
    assert replace(GOOD, seconds=20.1).broken == ["it did not go on within 20 s"]
