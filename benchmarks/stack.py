"""What benchmarks measure in: servers or a whole portal, a sink or a sandbox, child processes with their CPU time."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

from exports_portal.embedded import free_port, start_postgres, start_redis
from tests.portal import RunningPortal


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
def portal() -> Iterator[RunningPortal]:
    """The whole portal as `make run` starts it, with a sandbox beside it; Django here uses its database."""
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as name, sandbox() as urls:
        Path(name).chmod(0o755)
        hosts = {"AMPLITUDE_EU_URL": urls["europe"], "AMPLITUDE_STANDARD_URL": urls["standard"]}
        with RunningPortal(Path(name), **hosts) as running:
            os.environ |= {**hosts, "PORTAL_DATA_DIR": name, "DJANGO_SETTINGS_MODULE": "exports_portal.settings"}
            yield running


@contextmanager
def sandbox() -> Iterator[dict[str, str]]:
    """The addresses of a running Amplitude sandbox by region."""
    command = [sys.executable, "-m", "amplitude_client.sandbox", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


@contextmanager
def web(processes: int = 1) -> Iterator[tuple[str, list[psutil.Process]]]:
    """The address of a gunicorn with the portal's own settings, and its worker processes."""
    port = free_port()
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:exports_portal.gunicorn_conf", f"--workers={processes}"]
    # As the supervisor's log would be read by nobody here, it is not written either.
    process = subprocess.Popen([*gunicorn, "--bind", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/live")
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid).children()
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    for _ in range(300):
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{url} did not answer within 30 s.")


def cpu_of(portal: RunningPortal) -> float:
    """CPU seconds of all processes of a portal so far, those that have ended included."""
    members = [psutil.Process(portal.process.pid), *portal.descendants()]
    return sum(sum(process.cpu_times()[:4]) for process in members)  # user, system, and those of ended children


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
