"""Every command of the README and of docs/api.md works as it stands there."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exports_portal.runtime import BASE_DIR
from tests.portal import RunningPortal

README = (BASE_DIR / "README.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
# Run by other tests and by .ci/run: one starts a portal, one runs all tests, this one too.
NOWHERE = "http://127.0.0.1:1"
OF_OTHERS = {"make run", "make test"}


@pytest.fixture(scope="module")
def portal() -> Iterator[RunningPortal]:
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with RunningPortal(folder, AMPLITUDE_EU_URL=NOWHERE, AMPLITUDE_STANDARD_URL=NOWHERE) as running:
            yield running


def test_the_commands_of_the_readme_do_what_it_says(portal: RunningPortal, tmp_path: Path) -> None:
    commands = [command for command in COMMANDS if command not in OF_OTHERS]
    assert len(commands) == 4
    environment = dict(portal.environment)
    answers = []
    (tmp_path / "events.jsonl").write_text('{"type": "event", "identity": "jane@example.com", "evtName": "Searched"}\n')
    for command in commands:
        command = command.replace("http://127.0.0.1:8000", portal.url).replace(
            "events.jsonl", str(tmp_path / "events.jsonl")
        )
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
        if "create_project" in command:
            environment |= {name.upper(): value for name, value in json.loads(done.stdout).items()}
    assert json.loads(answers[1]) == {"status": "success", "processed": 1, "unprocessed": []}
    assert json.loads(answers[3])["nickname"] == "Growth"


def test_the_commands_of_the_api_document_do_what_it_says(portal: RunningPortal) -> None:
    commands = re.findall(r"```sh\n(.*?)\n```", (BASE_DIR / "docs" / "api.md").read_text(), re.DOTALL)
    assert len(commands) == 34
    new = portal.manage("create_project", "API", "--timezone", "UTC", "--json")
    environment = {**portal.environment, "PORTAL": portal.url, "API_TOKEN": json.loads(new.stdout)["api_token"]}
    for command in commands:
        strict = command.replace("curl ", "curl -fsS ", 1)
        done = subprocess.run(["/bin/sh", "-c", strict], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if ".csv" not in command:
            environment |= keys_in(command, json.loads(done.stdout))
    assert {"INTEGRATION", "EXPORT", "RUN", "SOURCE"} <= environment.keys()


def keys_in(command: str, answer: dict[str, Any]) -> dict[str, str]:
    """What the document calls $INTEGRATION, $EXPORT, $SOURCE and $RUN."""
    made = re.search(r"/api/v1/(integration|export|source)s/\".* -d ", command, re.DOTALL)
    if made and "id" in answer:
        return {made[1].upper(): str(answer["id"])}
    return {"RUN": str(answer["results"][0]["id"])} if '/runs/"' in command else {}


def test_every_document_that_the_readme_links_is_there() -> None:
    links = re.findall(r"\]\(((?!http)[^)]+)\)", README)
    assert links
    assert [link for link in links if not (BASE_DIR / link).exists()] == []
    assert (BASE_DIR / "LICENSE").is_file()
