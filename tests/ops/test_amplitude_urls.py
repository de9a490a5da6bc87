"""Where each region goes by the AMPLITUDE_*_URLs: in the demo nothing reaches Amplitude by accident."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exports_portal.runtime import BASE_DIR
from exports_portal.supervisor import Supervisor

OWN = "http://127.0.0.1:9"
SANDBOX = {"sandbox_standard_url": "http://127.0.0.1:11", "sandbox_eu_url": "http://127.0.0.1:12"}
ASK = """
import json, django
django.setup()
from django.conf import settings
print(json.dumps([settings.AMPLITUDE_STANDARD_URL, settings.AMPLITUDE_EU_URL, settings.PORTAL_SANDBOX]))
"""


def resolved(folder: Path, addresses: dict[str, str], **environment: str) -> tuple[str, str, list[str]]:
    """What the settings of a process of the portal say: Standard's address, Europe's, regions in the sandbox."""
    (folder / "addresses.json").write_text(json.dumps(addresses))
    ours = {"PORTAL_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "exports_portal.settings", **environment}
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=BASE_DIR, env=os.environ | ours, capture_output=True, text=True, check=True
    )
    standard, europe, sandbox = json.loads(done.stdout.splitlines()[-1])
    return standard, europe, sandbox


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("http://127.0.0.1:11", "http://127.0.0.1:12", ["Standard", "Europe"])),
        ({"AMPLITUDE_EU_URL": OWN}, ("http://127.0.0.1:11", OWN, ["Standard"])),
        ({"AMPLITUDE_STANDARD_URL": OWN}, (OWN, "http://127.0.0.1:12", ["Europe"])),
        ({"AMPLITUDE_STANDARD_URL": OWN, "AMPLITUDE_EU_URL": OWN}, (OWN, OWN, [])),
    ],
)
def test_the_sandbox_stands_in_for_what_is_not_given(
    tmp_path: Path, given: dict[str, str], expected: tuple[str, str, list[str]]
) -> None:
    assert resolved(tmp_path, SANDBOX, **given) == expected


def test_without_a_sandbox_what_is_not_given_is_amplitude(tmp_path: Path) -> None:
    assert resolved(tmp_path, {}, AMPLITUDE_EU_URL=OWN) == ("", OWN, [])


def started(monkeypatch: pytest.MonkeyPatch, folder: Path, **environment: str) -> dict[str, str]:
    """The addresses after the supervisor has, or has not, started the sandbox."""
    for name, value in {"PORTAL_DATA_DIR": str(folder), **environment}.items():
        monkeypatch.setenv(name, value)
    supervisor = Supervisor()
    supervisor._start_sandbox()
    supervisor.nursery.end(supervisor.nursery.children[:], within=5)
    return supervisor.addresses


def test_the_demo_starts_the_sandbox_unless_both_regions_have_an_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert SANDBOX.keys() <= started(monkeypatch, tmp_path, AMPLITUDE_EU_URL=OWN).keys()
    assert not SANDBOX.keys() & started(monkeypatch, tmp_path, AMPLITUDE_STANDARD_URL=OWN).keys()


def test_without_the_demo_one_address_alone_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not SANDBOX.keys() & started(monkeypatch, tmp_path, PORTAL_DEMO="0", AMPLITUDE_EU_URL=OWN).keys()
    assert "AMPLITUDE_EU_URL is set, AMPLITUDE_STANDARD_URL is not" in capsys.readouterr().out
