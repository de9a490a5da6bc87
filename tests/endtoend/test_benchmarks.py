"""Benchmarks fill tables behind the portal's back, so those that do are run with little data."""

import os
import subprocess
import sys

import pytest

LITTLE = {
    "delivery": "--events 4000 --pairs 1",
    "pages": "--exports 1000 --runs 40000 --requests 1",
    "profiles": "--people 4000 --pairs 1",
    "purge": "--events 2000",
    "upload": "--events 10000 --profiles 5000 --pairs 1 --exported 4000",
}


@pytest.mark.parametrize("name", LITTLE)
def test_a_benchmark_runs(name: str) -> None:
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("DATABASE_", "REDIS_", "PORTAL_"))}
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *LITTLE[name].split()],
        env=bare,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "at most" in done.stdout or "at least" in done.stdout
