"""`make run` with real processes: what dies comes back, a stop leaves nothing, errors are one clear sentence."""

import os
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from tests.portal import RunningPortal, wait_until


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "data"


@pytest.fixture(scope="module")
def portal(folder: Path) -> Iterator[RunningPortal]:
    with RunningPortal(folder) as portal:
        yield portal


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "data"


def test_it_greets_with_address_and_login_once_all_is_ready(portal: RunningPortal) -> None:
    assert f"Exports Portal is running at {portal.url}" in portal.output
    assert portal.login[0] == "admin@example.com"
    assert requests.get(f"{portal.url}/live", timeout=5).status_code == 200
    wait_until(portal.is_ready)


def test_who_asks_for_heads_only_fills_no_log(portal: RunningPortal) -> None:
    """As monitors do, every few seconds."""
    for path in ("/live", "/login/"):
        assert requests.head(f"{portal.url}{path}", timeout=5).status_code == 200
    wait_until(lambda: "HEAD /login/" in portal.output)
    about = [line for line in portal.output.splitlines() if "HEAD" in line]
    assert len(about) == 1, about


def test_addresses_and_login_are_readable_by_the_owner_only(portal: RunningPortal) -> None:
    for path in (portal.folder / "addresses.json", *(portal.folder / "keys").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("words", [("worker", "-Q live"), ("worker", "-Q tick"), ("beat",), ("gunicorn",)])
def test_a_killed_child_comes_back(portal: RunningPortal, words: tuple[str, ...]) -> None:
    killed = wait_for_child(portal, *words)
    killed.kill()
    wait_until(lambda: (found := portal.child(*words)) is not None and found.pid != killed.pid)
    wait_until(portal.is_ready, seconds=60)


@pytest.mark.parametrize("words", [("redis-server",), ("bin/postgres", "-D")])
def test_a_killed_server_comes_back_at_the_same_address(portal: RunningPortal, words: tuple[str, ...]) -> None:
    before = portal.addresses
    killed = wait_for_child(portal, *words)
    killed.kill()
    wait_until(lambda: (found := portal.child(*words)) is not None and found.pid != killed.pid)
    wait_until(portal.is_ready, seconds=60)
    assert portal.addresses == before


def test_workers_keep_their_database_connections_from_task_to_task(portal: RunningPortal) -> None:
    """Connecting costs more than most tasks, and the tick comes every second."""
    wait_until(portal.is_ready, seconds=60)
    latest = "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE query LIKE '%pg_advisory_unlock%'"
    with psycopg.connect(portal.addresses["database_url"], autocommit=True) as connection:

        def are_kept() -> bool:
            """Whether three looks, a tick or more apart, meet one backend."""
            pids = set()
            for _ in range(3):
                pids.add(connection.execute(latest).fetchone())
                time.sleep(1.5)
            return len(pids) == 1 and (0,) not in pids

        # Not at the first look: the servers killed above cost a worker one more connection.
        wait_until(are_kept, seconds=60)


def test_a_second_portal_on_the_folder_is_told_who_holds_it(portal: RunningPortal) -> None:
    said = RunningPortal(portal.folder).fail_to_start()
    assert f"is in use by another portal (process {portal.process.pid})" in said
    assert len(said.splitlines()) == 1


def test_a_port_in_use_is_told_in_one_sentence(portal: RunningPortal, empty_folder: Path) -> None:
    said = RunningPortal(empty_folder, port=portal.port).fail_to_start()
    assert f"cannot listen on 127.0.0.1:{portal.port}" in said
    assert f"PORT={portal.port + 1} make run" in said


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "DATABASE_URL does not lead to a database"),
        ({"DATABASE_URL": "sqlite:///db.sqlite3"}, "DATABASE_URL must start with postgresql://"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "REDIS_URL does not lead to a Redis"),
        ({"PORT": "eight"}, "PORT must be a number"),
        ({"PORTAL_DATA_DIR": "/dev/null"}, "The data folder cannot be made: /dev/null"),
        ({"PORTAL_LEASE_SECONDS": "soon"}, '"PORTAL_LEASE_SECONDS" invalid: Not a valid integer. Mend it'),
        ({"PORTAL_ENCRYPTION_KEYS": "secret"}, "PORTAL_ENCRYPTION_KEYS holds something that is no key"),
        ({"AMPLITUDE_EU_URL": "localhost:9000"}, "AMPLITUDE_EU_URL must be an address without a path"),
    ],
)
def test_a_wrong_setting_is_told_in_words(environment: dict[str, str], sentence: str, empty_folder: Path) -> None:
    said = RunningPortal(empty_folder, **environment).fail_to_start()
    assert sentence in said
    assert "Traceback" not in said


def test_own_servers_are_used_and_none_is_started(empty_folder: Path) -> None:
    redis_url = os.environ["REDIS_URL"].removesuffix("/0") + "/1"
    with RunningPortal(empty_folder, DATABASE_URL=new_database("switched"), REDIS_URL=redis_url) as portal:
        names = {process.name() for process in portal.descendants()}
        assert not {"postgres", "redis-server"} & names
        wait_until(portal.is_ready)


def test_a_stop_leaves_nothing_and_a_second_start_keeps_the_data(empty_folder: Path) -> None:
    portal = RunningPortal(empty_folder)
    portal.start()
    login = portal.login
    made = portal.manage("create_project", "Shop", "--timezone", "Asia/Kolkata", "--json")
    assert made.returncode == 0, made.stderr
    leaves_nothing(portal, signal.SIGINT)
    assert not (empty_folder / "addresses.json").exists()

    asked = portal.manage("showmigrations")
    assert (asked.returncode, asked.stderr.strip()) == (1, "The portal is not running. Start it with: make run")

    portal.start()
    assert portal.login == login
    again = portal.manage(
        "shell", "-v0", "-c", "from projects.models import Project; print(Project.objects.get().name)"
    )
    assert again.stdout.strip() == "Shop", again.stderr
    leaves_nothing(portal, signal.SIGKILL)  # nothing of ours outlives even a kill -9


def leaves_nothing(portal: RunningPortal, with_signal: signal.Signals) -> None:
    family = portal.descendants()
    assert family
    portal.stop(with_signal)
    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def wait_for_child(portal: RunningPortal, *words: str) -> psutil.Process:
    wait_until(lambda: portal.child(*words))
    found = portal.child(*words)
    assert found
    return found


def new_database(name: str) -> str:
    """A further database in this test process's cluster."""
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return url.replace("/portal?", f"/{name}?")
