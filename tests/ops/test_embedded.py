"""The servers that the portal brings."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from exports_portal import processes
from exports_portal.embedded import ServerError, start_postgres
from exports_portal.runtime import BASE_DIR
from tests.portal import wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_postgres_is_18_and_sorts_by_bytes_in_utf_8() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000, pg_encoding_to_char(encoding), datlocale "
            "FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == (18, "UTF8", "C.UTF-8")


def test_a_folder_too_deep_for_a_socket_still_works(folder: Path) -> None:
    deep = folder / ("d" * 110)
    deep.mkdir()
    server = start_postgres(deep, durable=False)
    try:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()


def test_a_folder_of_another_version_is_refused_in_words(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ServerError, match="was made by PostgreSQL 16, and the portal brings PostgreSQL 18"):
        start_postgres(folder)


def test_servers_end_with_the_process_that_started_them(folder: Path) -> None:
    program = (
        "import pathlib, time; from exports_portal.embedded import start_postgres, start_redis; "
        f"here = pathlib.Path({str(folder)!r}); start_postgres(here, durable=False); start_redis(here); time.sleep(600)"
    )
    owner = processes.spawn([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(BASE_DIR)})
    try:
        mother = psutil.Process(owner.pid)
        names = {"postgres", "redis-server"}
        wait_until(lambda: names <= {child.name() for child in mother.children()})
        servers = mother.children(recursive=True)
    finally:
        owner.kill()
        owner.wait()
    _gone, alive = psutil.wait_procs(servers, timeout=10)
    assert alive == []
