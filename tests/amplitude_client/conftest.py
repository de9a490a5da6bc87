"""A sandbox over a real socket, and a client with the decision behind it."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
import pytest

from amplitude_client import AmplitudeClient, Decision, decide
from amplitude_client.sandbox import Sandbox
from tests.amplitude_client.wires import KEY

Event = dict[str, Any]
Send = Callable[..., Decision]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def make_client(sandbox: Sandbox) -> Iterator[Callable[..., AmplitudeClient]]:
    clients: list[AmplitudeClient] = []

    def make(api_key: str = KEY, base_url: str | None = None, **options: Any) -> AmplitudeClient:
        clients.append(AmplitudeClient(api_key, base_url or sandbox.eu_url, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def send(make_client: Callable[..., AmplitudeClient]) -> Send:
    """Send events and decide. Options go to the client."""

    def send_events(events: Sequence[Event], *, api_key: str = KEY, **options: Any) -> Decision:
        answer = make_client(api_key, **options).send([orjson.dumps(event) for event in events])
        ids = [(event.get("user_id"), event.get("device_id")) for event in events]
        return decide(answer, batch_size=len(events), ids=ids, api_key=api_key)

    return send_events


@pytest.fixture
def make_event() -> Callable[..., Event]:
    """A good event; arguments replace its values, None removes one."""
    numbers = itertools.count(1)

    def make(**values: Any) -> Event:
        number = next(numbers)
        event = {
            "event_type": "Product Viewed",
            "time": 1_700_000_000_000 + number,
            "user_id": f"user-{number:05}",
            "device_id": f"device-{number:05}",
            "insert_id": f"insert-{number:05}",
            "event_id": number,
            "event_properties": {"Product": "Schöne Schuhe 👟", "Price": 49.9},
            **values,
        }
        return {key: value for key, value in event.items() if value is not None}

    return make
