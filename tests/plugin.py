"""Each test process gets a PostgreSQL, a Redis and a data folder of its own, before Django reads its settings.

Loaded by `-p tests.plugin` (pyproject.toml). Delivery reads below the horizon, which counts open writers of the
whole cluster: two test processes on one cluster would hold each other up.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exports_portal.embedded import EmbeddedServer, start_postgres, start_redis

PREFIX = "exports-portal-tests-"
SETTLED_SECONDS = 60
# What a developer's shell may hold must not change what the tests see.
CLEARED = ("AMPLITUDE_", "DATABASE_URL", "DJANGO_SECRET_KEY", "EMAIL_URL", "LOG_FORMAT", "PORT", "REDIS_URL")


class TestStack:
    """The servers of this test process and the folder that they live in."""

    __test__ = False  # not a test class

    def __init__(self, *, with_servers: bool, keep: tuple[str, ...] = ()) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = (self.folder / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # held as long as this process lives: the folder is not left over
        self.servers: list[EmbeddedServer] = []
        _clear_environment(keep)
        os.environ["PORTAL_DATA_DIR"] = str(self.folder)
        atexit.register(self.stop)
        if with_servers:
            self._start_servers()

    def _start_servers(self) -> None:
        postgres = start_postgres(self.folder, durable=False)
        redis = start_redis(self.folder)
        self.servers = [redis, postgres]
        os.environ["DATABASE_URL"] = postgres.url
        os.environ["REDIS_URL"] = redis.url

    def stop(self) -> None:
        """End the servers and remove the folder; a second call does nothing."""
        for server in self.servers:
            server.stop()
        self.servers = []
        self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _clear_environment(keep: tuple[str, ...]) -> None:
    for name in list(os.environ):
        if name.startswith((*CLEARED, "PORTAL_")) and name not in keep:
            del os.environ[name]


def _remove_leftovers() -> None:
    """Remove folders of test processes that were killed; their servers ended with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), (folder / "lock").open("r+") as lock:
            if folder.stat().st_mtime > time.time() - SETTLED_SECONDS:
                continue  # it may be on the way to its lock
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _is_controller(config: pytest.Config) -> bool:
    """Whether this process only hands out tests to the workers of pytest-xdist."""
    in_worker = "PYTEST_XDIST_WORKER" in os.environ
    return not in_worker and bool(getattr(config.known_args_namespace, "numprocesses", None))


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """A wrapper, so that it runs before pytest-django's hook, which loads the settings."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _remove_leftovers()
    stack = TestStack(with_servers=not _is_controller(early_config))
    early_config.add_cleanup(stack.stop)
    # Playwright's sync API keeps an event loop in the thread, and Django would refuse every query beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    return (yield)
