"""What docker-compose.yml and the Dockerfile say, read as Docker reads them."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exports_portal.runtime import BASE_DIR

SECONDS = {"s": 1.0, "m": 60.0}


class MissingVariable(Exception):
    """A ${NAME:?why} whose NAME is not set; docker compose says why and starts nothing."""


def compose(environment: Mapping[str, str], *names: str) -> dict[str, Any]:
    """The merged compose files (docker-compose.yml), with what .env says put in."""
    merged: dict[str, Any] = {}
    for name in names or ("docker-compose.yml",):
        merged = _merge(merged, yaml.safe_load((BASE_DIR / name).read_text()))
    services: dict[str, Any] = _put_in(merged["services"], environment)
    return services


def _merge(below: Any, above: Any) -> Any:
    """As several -f do for mappings; what we override apart from those, `command` and `ports`, is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{key: _merge(below.get(key), value) for key, value in above.items()}}
    return above


def _put_in(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _put_in(one, environment) for key, one in value.items()}
    if isinstance(value, list):
        return [_put_in(one, environment) for one in value]
    return _interpolated(value, environment) if isinstance(value, str) else value


def _interpolated(text: str, environment: Mapping[str, str]) -> str:
    before, opening, rest = text.partition("${")
    if not opening:
        return text
    end = _closing(rest)
    return before + _value(rest[:end], environment) + _interpolated(rest[end + 1 :], environment)


def _closing(text: str) -> int:
    """The place of the brace that closes one that is open already; there may be others in between."""
    depth = 1
    for place, char in enumerate(text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if not depth:
            return place
    raise ValueError(text)


def _value(variable: str, environment: Mapping[str, str]) -> str:
    """What NAME, NAME:-default or NAME:?why stands for. A default that is not used is not looked at."""
    name, rule, rest = re.fullmatch(r"(\w+)(:-|:\?|)(.*)", variable).groups()  # type: ignore[union-attr]
    if value := environment.get(name):
        return value
    if rule == ":?":
        raise MissingVariable(rest)
    return _interpolated(rest, environment)


def seconds(duration: str) -> float:
    """`40s` and `2m` as seconds."""
    return float(duration[:-1]) * SECONDS[duration[-1]]


@dataclass(frozen=True)
class Image:
    """The last stage of the Dockerfile. copied: the paths of the repository that it has."""

    environment: dict[str, str]
    copied: list[str]
    user: str
    command: list[str]
    health: list[str]


def image(path: Path = BASE_DIR / "Dockerfile") -> Image:
    lines = re.sub(r"(?m)^#.*\n", "", path.read_text()).replace("\\\n", " ").splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    steps = [line.split(None, 1) for line in lines[last + 1 :] if line.strip()]
    said: dict[str, str] = dict(steps)  # type: ignore[arg-type]
    environment = dict(word.split("=", 1) for what, rest in steps if what == "ENV" for word in shlex.split(rest))
    copied = [rest.split()[0] for what, rest in steps if what == "COPY" and not rest.startswith("--from")]
    health = said["HEALTHCHECK"].partition("CMD ")[2]
    return Image(environment, copied, said["USER"], json.loads(said["CMD"]), json.loads(health))


def documented(beginning: str, name: str = "docs/production.md") -> str:
    """The one command of a document that begins so, without what follows in a comment."""
    text = (BASE_DIR / name).read_text().replace("\\\n", " ")
    (line,) = {one.strip() for one in text.splitlines() if one.strip().startswith(beginning)}
    return re.sub(r"\s+#.*$", "", line)
