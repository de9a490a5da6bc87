"""A PostgreSQL, a Redis and a sink for benchmarks, and a child process whose CPU time is its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exports_portal.embedded import start_postgres, start_redis


@contextmanager
def servers() -> Iterator[None]:
    """Start both servers in a temporary folder and point the environment at them; migrate."""
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgres = start_postgres(folder)
        redis = start_redis(folder)
        os.environ |= {
            "PORTAL_DATA_DIR": name,
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "DJANGO_SETTINGS_MODULE": "exports_portal.settings",
        }
        try:
            subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], check=True)
            yield
        finally:
            redis.stop()
            postgres.stop()


@contextmanager
def sink() -> Iterator[str]:
    """The address of a running bare sink."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.sink"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


def measure(module: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """Run `python -m module arguments` and return the JSON object of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])
