"""Known holes in what requirements.lock installs: `python -m tests.audit_dependencies`, a part of `make check`.

Fails when there is one. Where the audit's data cannot be reached it says so and passes: the check needs no network.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PIP_AUDIT = Path(sys.executable).with_name("pip-audit")
SWITCHES = ("--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off", "--timeout=10")


def verdict(answer: str, complaint: str) -> tuple[int, list[str]]:
    """The exit code and what to print, from pip-audit's answer and what it complained of."""
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError):
        last = (complaint.strip().splitlines() or ["no answer"])[-1]
        return 0, [f"The dependencies were not audited, as the audit's data cannot be reached: {last}"]
    holes = [_line(package, hole) for package in packages for hole in package.get("vulns", ())]
    audited = sum("vulns" in package for package in packages)
    if not audited:
        return 0, ["The dependencies were not audited: this package index has no data of known holes."]
    return int(bool(holes)), [*holes, f"{audited} of {len(packages)} dependencies audited, {len(holes)} known holes."]


def _line(package: dict[str, Any], hole: dict[str, Any]) -> str:
    mended = ", ".join(hole["fix_versions"]) or "no version yet"
    return f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}"


def main() -> int:
    command = [str(PIP_AUDIT), "--requirement=requirements.lock", *SWITCHES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    code, lines = verdict(done.stdout, done.stderr)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
