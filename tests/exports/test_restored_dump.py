"""A dump that is really restored into another cluster: nothing moves before rebase_positions, nothing is lost after."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from events import positions
from exports import actions, ledger_check, tick
from exports.delivery import worker
from exports.models import Export, Run, Shard, Status
from exports_portal.embedded import Postgres
from exports_portal.server_programs import postgres_binaries
from tests.exports.conftest import ANN, deliver, flow, now, skip_waits, unique, work_once
from tests.exports.transactions import late_rows


@pytest.fixture
def elsewhere() -> Iterator[Postgres]:
    """A second, empty cluster; its transaction ids begin anew."""
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder), durable=False)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def restored(into: Postgres) -> Iterator[None]:
    """Dump this database, restore it over there, and let Django speak to that one."""
    mine = connection.get_connection_params()
    source = ["--host", str(mine["host"]), "--username", str(mine["user"]), str(mine["dbname"])]
    dump = subprocess.run([postgres_binaries() / "pg_dump", *source], check=True, capture_output=True).stdout
    psql = [postgres_binaries() / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", into.url]
    subprocess.run(psql, input=dump, check=True, stdout=subprocess.DEVNULL)
    before = {name: connection.settings_dict[name] for name in ("HOST", "NAME")}
    connection.close()
    connection.settings_dict.update(HOST=str(into.socket_folder), NAME="portal")
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)


def everything_agrees() -> bool:
    with ledger_check.one_snapshot():
        return not any(report.differences for report in ledger_check.check())


def test_nothing_is_captured_or_sent_from_a_restored_dump_before_it_is_rebased(
    capture, recurring, one_time, sandbox, elsewhere
):
    capture(3)
    exports = [recurring(), one_time()]
    with restored(elsewhere):
        with pytest.raises(positions.RestoredDump, match=r"manage\.py rebase_positions"):
            capture(1)
        with pytest.raises(positions.RestoredDump):
            actions.run_now(export=exports[0], by=ANN, now=now())
        assert tick.tick(now=now()) == 0
        for shard in Shard.objects.all():
            worker.work(shard.pk)
        assert not sandbox.requests()
        assert not Export.objects.filter(failing_since__isnull=False).exists()
        call_command("rebase_positions")
        assert [deliver(export).delivered for export in exports] == [3, 3]


def test_exports_go_on_after_a_restore_where_they_stood(capture, recurring, live, one_time, sandbox, elsewhere):
    capture(3)
    cyclic, streaming = deliver(recurring()), live()
    capture(4, people=4)
    sandbox.faults({"kind": "throttle", "users": ["person-0001"], "count": 1})
    flow(streaming)
    capture(2)
    with late_rows("events", 5):  # never committed, so never captured
        waiting = one_time()
        work_once(waiting)
        with restored(elsewhere):
            call_command("rebase_positions")
            capture(6)
            skip_waits(streaming)
            actions.run_now(export=cyclic, by=ANN, now=now())
            assert deliver(waiting).status == Status.DONE
            assert deliver(cyclic).delivered == 15
            assert flow(streaming).delivered == 12
            assert Run.objects.with_counts().get(export=waiting).read == 9
            assert everything_agrees()
    assert len(sandbox.events()) == 15 + 12 + 9
    assert len(unique(sandbox)) == 15
