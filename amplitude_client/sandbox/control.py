"""The sandbox's own endpoints: faults, keys, and what arrived. JSON in, JSON out, on both ports."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from amplitude_client.sandbox.faults import KINDS, Fault, Faults, UnknownFaultError
from amplitude_client.sandbox.page import render
from amplitude_client.sandbox.state import State
from amplitude_client.sandbox.wire import Reply, Request

REGIONS = ("europe", "standard")
MAX_LIMIT = 10_000


class Control:
    def __init__(self, state: State, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        self._routes: Mapping[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", "/"): self._page,
            ("GET", "/control/events"): self._events,
            ("DELETE", "/control/events"): self._reset,
            ("GET", "/control/summary"): lambda _: Reply.of(200, self.summary()),
            ("GET", "/control/requests"): self._requests,
            ("GET", "/control/faults"): lambda _: Reply.of(200, self.faults()),
            ("POST", "/control/faults"): self._add_faults,
            ("DELETE", "/control/faults"): self._clear_faults,
            ("POST", "/control/keys"): self._add_keys,
            ("DELETE", "/control/keys"): self._forget_keys,
        }

    def answer(self, request: Request) -> Reply | None:
        """None when the path is not one of these."""
        route = self._routes.get((request.method, request.path))
        if route is None:
            return None
        try:
            return route(request)
        except (UnknownFaultError, ValueError) as error:
            return Reply.of(400, {"error": str(error)})

    def summary(self) -> dict[str, Any]:
        projects = [project.summary() for project in self._state.projects.values()]
        totals = {
            region: {
                name: sum(project[name] for project in projects if project["region"] == region)
                for name in ("requests", "received", "accepted_unique", "duplicates")
            }
            for region in REGIONS
        }
        return {"regions": totals, "projects": projects}

    def faults(self) -> dict[str, Any]:
        active = [
            {name: value for name, value in vars(fault).items() if name not in ("meter", "api_key")}
            for fault in self._faults.active
        ]
        return {"active": active, "kinds": KINDS}

    def _page(self, request: Request) -> Reply:
        newest = self._state.newest(25)
        return Reply(200, render(self.summary(), newest, self._faults.active).encode(), "text/html; charset=utf-8")

    def _events(self, request: Request) -> Reply:
        query = request.query
        limit = max(1, min(int(query.get("limit", "1000")), MAX_LIMIT))
        after = int(query.get("after", "-1"))
        events = self._state.events(api_key=query.get("api_key"), region=query.get("region"), after=after, limit=limit)
        return Reply.of(200, {"events": events, "next": events[-1]["seq"] if events else after})

    def _requests(self, request: Request) -> Reply:
        after = int(request.query.get("after", "0"))
        return Reply.of(200, {"requests": [vars(entry) for entry in self._state.requests if entry.id > after]})

    def _reset(self, request: Request) -> Reply:
        self._state.reset()
        return Reply.of(200, {"ok": True})

    def _add_faults(self, request: Request) -> Reply:
        """A list of faults, or one."""
        value = orjson.loads(request.body)
        for fault in [Fault.read(item) for item in (value if isinstance(value, list) else [value])]:
            self._faults.add(fault)
        return Reply.of(201, self.faults())

    def _clear_faults(self, request: Request) -> Reply:
        self._faults.clear()
        return Reply.of(200, {"ok": True})

    def _add_keys(self, request: Request) -> Reply:
        value = orjson.loads(request.body)
        for region, keys in read_keys(value).items():
            self._state.register(region, keys)
        return Reply.of(201, {"ok": True})

    def _forget_keys(self, request: Request) -> Reply:
        self._state.forget_keys()
        return Reply.of(200, {"ok": True})


def read_keys(value: Any) -> dict[str, list[str]]:
    """{"europe": ["…"], "standard": ["…"]} as it is, or ValueError."""
    good = isinstance(value, dict) and all(
        region in REGIONS and isinstance(keys, list) and all(isinstance(key, str) for key in keys)
        for region, keys in value.items()
    )
    if not good:
        raise ValueError('Keys are given as {"europe": ["…"], "standard": ["…"]}.')
    return dict(value)
