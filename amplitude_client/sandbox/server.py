"""Both regions on two ports, in a thread (`Sandbox`) or as a process (`python -m amplitude_client.sandbox`)."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from amplitude_client.sandbox import answers
from amplitude_client.sandbox.control import REGIONS, Control
from amplitude_client.sandbox.faults import Fault, Faults
from amplitude_client.sandbox.ingestion import MAX_BYTES, ingest
from amplitude_client.sandbox.state import State
from amplitude_client.sandbox.wire import Handler, Listener, Reply, Request

Result = TypeVar("Result")


class Servers:
    """The two listeners over one state; to be used inside an event loop."""

    def __init__(self, state: State, faults: Faults) -> None:
        self.state = state
        self.faults = faults
        self.control = Control(state, faults)
        self._listeners: list[Listener] = []

    async def open(self, *, host: str, standard_port: int, eu_port: int) -> dict[str, str]:
        """Region → address. Port 0 picks a free one."""
        addresses: dict[str, str] = {}
        for region, port in (("standard", standard_port), ("europe", eu_port)):
            listener = Listener(self._handler(region))
            bound = await listener.open(host, port)
            self._listeners.append(listener)
            addresses[region] = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
        return addresses

    async def close(self) -> None:
        for listener in self._listeners:
            await listener.close()
        self.state.close()

    def _handler(self, region: str) -> Handler:
        async def handle(request: Request) -> Reply | None:
            if request.method == "POST" and request.path in MAX_BYTES:
                return await ingest(request, region=region, state=self.state, faults=self.faults)
            own = self.control.answer(request)
            return own or answers.bad_request("Invalid request path")

        return handle


class Sandbox:
    """A sandbox in a thread of this process, over real sockets, for tests.

    with Sandbox() as sandbox:
        sandbox.faults({"kind": "status", "status": 503, "count": 2})
        … send to sandbox.eu_url …
        assert [record["event"] for record in sandbox.events()] == …
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        forget: bool = False,
        data: Path | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._servers = Servers(State(clock=clock, forget=forget, data=data), Faults(clock))
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="amplitude-sandbox", daemon=True)
        self.standard_url = ""
        self.eu_url = ""

    def __enter__(self) -> "Sandbox":
        self._thread.start()
        opening = self._servers.open(host=self._host, standard_port=0, eu_port=0)
        addresses = asyncio.run_coroutine_threadsafe(opening, self._loop).result()
        self.standard_url, self.eu_url = addresses["standard"], addresses["europe"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._servers.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def faults(self, *descriptions: dict[str, Any]) -> None:
        """Set faults (see `faults.KINDS`) beside those that are set already."""
        for fault in [Fault.read(description) for description in descriptions]:
            self._call(partial(self._servers.faults.add, fault))

    def clear_faults(self) -> None:
        self._call(self._servers.faults.clear)

    def register_keys(self, region: str, keys: Sequence[str]) -> None:
        """From now on, only registered keys are valid, each in its region ("europe" or "standard")."""
        if region not in REGIONS:
            raise ValueError(f"“{region}” is not a region: {', '.join(REGIONS)}.")
        self._call(partial(self._servers.state.register, region, keys))

    def events(self, *, api_key: str | None = None, region: str | None = None) -> list[dict[str, Any]]:
        """All accepted events in the order of arrival, repeats included (`duplicate` marks them)."""
        return self._call(partial(self._servers.state.events, api_key=api_key, region=region))

    def summary(self) -> dict[str, Any]:
        return self._call(self._servers.control.summary)

    def requests(self) -> list[dict[str, Any]]:
        return self._call(lambda: [dict(vars(entry)) for entry in self._servers.state.requests])

    def reset(self) -> None:
        """Forget what arrived; faults and keys stay."""
        self._call(self._servers.state.reset)

    def _call(self, function: Callable[[], Result]) -> Result:
        """Run in the server's thread: its state needs no locks."""

        async def run() -> Result:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()
