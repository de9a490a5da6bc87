"""A whole portal for tests: what `make run` starts, in a folder and on a port of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import requests

from exports_portal import processes
from exports_portal.embedded import free_port
from exports_portal.runtime import BASE_DIR

START_SECONDS = 120
STOP_SECONDS = 20  # the promise of make run
OURS = ("AMPLITUDE_", "DATABASE_URL", "DJANGO_", "LOG_", "PORT", "REDIS_URL")


class RunningPortal:
    """`with RunningPortal(folder) as portal:` starts it and ends it; `environment` adds variables, DEMO is off."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        command: tuple[str, ...] = (sys.executable, "-m", "exports_portal.supervisor"),
        **environment: str,
    ) -> None:
        self.folder = folder
        self.command = command
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        ours = {"PORTAL_DATA_DIR": str(folder), "PORT": str(self.port), "PORTAL_DEMO": "0"}
        self.environment = clean | ours | environment
        self.lines: list[str] = []

    def __enter__(self) -> "RunningPortal":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop(signal.SIGTERM)

    def start(self) -> None:
        """Start it and wait until it has greeted; AssertionError with its output when it did not."""
        self.lines = []
        self.process = processes.spawn(
            list(self.command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment | {"PYTHONPATH": str(BASE_DIR)},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: self.process.poll() is not None or self.has_greeted, seconds=START_SECONDS)
        assert self.has_greeted, self.output

    def fail_to_start(self) -> str:
        """What it says when it cannot start; AssertionError when it can."""
        try:
            self.start()
        except AssertionError:
            self._reader.join(5)
            assert self.process.wait(5) == 1
            return self.output
        self.stop(signal.SIGTERM)
        raise AssertionError("The portal started, and should not have.")

    @property
    def has_greeted(self) -> bool:
        return any("Press Ctrl-C" in line for line in list(self.lines))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def addresses(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "addresses.json").read_text())
        return found

    @property
    def login(self) -> tuple[str, str]:
        """The email and password that it printed."""
        line = next(line for line in self.lines if "Sign in with" in line)
        words = line.split()
        return words[words.index("with") + 1], words[-1]

    def descendants(self) -> list[psutil.Process]:
        """Every process below the supervisor."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process | None:
        """The direct child of the supervisor whose command line has all `words`."""
        for process in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it ended meanwhile, and may not have been collected yet
                if all(word in " ".join(process.cmdline()) for word in words):
                    return process
        return None

    def manage(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """`manage.py` from another shell, which knows nothing but the data folder."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=BASE_DIR,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/ready", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self, with_signal: signal.Signals) -> None:
        """Send one signal; AssertionError when it does not end in its time."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            self.process.wait(STOP_SECONDS)
        finally:
            processes.end(self.process, first=signal.SIGKILL)
            self._reader.join(5)

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))


def wait_until(condition: object, *, seconds: float = 30, every: float = 0.1) -> None:
    """Wait for `condition()` to be true; AssertionError when it is not after `seconds`."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(every)
