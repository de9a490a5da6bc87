"""Every command of the README works as it stands there."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exports_portal.runtime import BASE_DIR
from tests.portal import RunningPortal

README = (BASE_DIR / "README.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
# Run by other tests and by .ci/run: one starts a portal, one runs all tests, this one too.
OF_OTHERS = {"make run", "make test"}


@pytest.fixture(scope="module")
def portal() -> Iterator[RunningPortal]:
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with RunningPortal(folder) as running:
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


def test_every_document_that_the_readme_links_is_there() -> None:
    links = re.findall(r"\]\(((?!http)[^)]+)\)", README)
    assert links
    assert [link for link in links if not (BASE_DIR / link).exists()] == []
    assert (BASE_DIR / "LICENSE").is_file()
