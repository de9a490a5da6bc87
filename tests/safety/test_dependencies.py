"""The audit of dependencies fails for known holes, and never for want of a network."""

import json

import pytest

from tests.audit_dependencies import verdict

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
HOLE = {"name": "celery", "version": "5.0", "vulns": [{"id": "PYSEC-2021-858", "fix_versions": ["5.2.2"]}]}
SKIPPED = {"name": "amqp", "skip_reason": "Dependency not found on PyPI and could not be audited: amqp (5.4.2)"}


def report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_hole_fails_and_says_what_mends_it() -> None:
    code, lines = verdict(report(CLEAN, HOLE, SKIPPED), "")
    assert code == 1
    assert lines == [
        "celery 5.0: PYSEC-2021-858, mended in 5.2.2",
        "2 of 3 dependencies audited, 1 known holes.",
    ]


def test_without_holes_it_passes() -> None:
    assert verdict(report(CLEAN, SKIPPED), "") == (0, ["1 of 2 dependencies audited, 0 known holes."])


@pytest.mark.parametrize(
    ("answer", "why"),
    [("", "Max retries exceeded"), ("<html>", ""), ("{}", ""), (report(SKIPPED), ""), (report(), "")],
)
def test_without_its_data_it_passes_and_says_so(answer: str, why: str) -> None:
    code, (line,) = verdict(answer, f"Traceback\n{why}\n")
    assert code == 0
    assert "not audited" in line
    assert why in line
