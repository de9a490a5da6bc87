"""`make run`: one process in the foreground that starts every server of the portal and ends them with itself.

    python -m exports_portal.supervisor

It locks PORTAL_DATA_DIR, runs PostgreSQL and Redis (or connects to DATABASE_URL and REDIS_URL), web, workers,
beat and the Amplitude sandbox, starts again what dies, and writes the addresses into the data folder, where every
other command finds them. One thread; no Django in this process. SIGINT or SIGTERM end all of it within 20 s.
"""

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from types import FrameType

import psycopg
import redis

from exports_portal import processes, runtime
from exports_portal.children import Child, Nursery, say
from exports_portal.embedded import EmbeddedServer, Postgres, Redis, ServerError, StartCancelled, free_port

OLDEST_POSTGRES = 15
READY_SECONDS = 60
ASK_SECONDS = 0.3
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach our loopback
# Processes per queue: the tick is one short query, live exports must not wait for each other.
WORKERS = {"tick": 1, "live": 2, "bulk": 2, "purge": 1}


class Supervisor:
    """Everything that `make run` holds, in the order in which it starts; `stop` ends it in reverse."""

    def __init__(self) -> None:
        self.folder = runtime.data_dir()
        self.bind = os.environ.get("PORTAL_BIND") or "127.0.0.1"
        self.port = _port()
        self.nursery = Nursery()
        self.servers: list[EmbeddedServer] = []
        self.addresses: dict[str, str] = {"web_url": self.web_url}
        self.parent = processes.MakeParent()
        self.signals = 0
        self.prepared: dict[str, str] = {}

    @property
    def web_url(self) -> str:
        host = "127.0.0.1" if self.bind in ("0.0.0.0", "::", "") else self.bind  # noqa: S104 compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def run(self) -> None:
        """Start all, watch over it until a signal comes, end all. ServerError says why it could not start."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup, which wants exactly that
            signal.signal(number, self._on_signal)
        with runtime.lock(self.folder):
            try:
                self._start()
                self._watch()
            except StartCancelled:
                pass
            finally:
                self._stop()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1

    # Start

    def _start(self) -> None:
        self._check_port()
        self._start_servers()
        self._start_sandbox()
        runtime.write_addresses(self.addresses)
        self._prepare()
        self._start_portal()
        self._load_demo()
        self._wait_until_ready()
        self._greet()

    def _check_port(self) -> None:
        family = socket.AF_INET6 if ":" in self.bind else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.bind, self.port))
            except OSError as error:
                raise ServerError(
                    f"The portal cannot listen on {self.bind}:{self.port} ({error.strerror}). "
                    f"Stop what uses that port, or choose another one: PORT={self.port + 1} make run"
                ) from None

    def _start_servers(self) -> None:
        if url := os.environ.get("DATABASE_URL"):
            check_database(url)
            self.addresses["database_url"] = url
        else:
            self.addresses["database_url"] = self._start_server(Postgres(self.folder, cancelled=self._is_stopping))
        if url := os.environ.get("REDIS_URL"):
            check_redis(url)
            self.addresses["redis_url"] = url
        else:
            self.addresses["redis_url"] = self._start_server(Redis(self.folder, cancelled=self._is_stopping))

    def _start_server(self, server: EmbeddedServer) -> str:
        self.servers.append(server)
        server.start()
        for note in server.notes:
            say(note)
        say(f"{server.name} runs.")
        return server.url

    def _start_sandbox(self) -> None:
        """In the demo, unless both regions have an address of their own."""
        if not runtime.is_demo():
            if warning := runtime.one_sided_urls():
                say(f"Warning: {warning}")
            return
        if not runtime.regions_without_url():
            return
        standard, europe = free_port(), free_port()
        self.addresses["sandbox_standard_url"] = f"http://127.0.0.1:{standard}"
        self.addresses["sandbox_eu_url"] = f"http://127.0.0.1:{europe}"
        ports = ["--port", str(standard), "--eu-port", str(europe)]
        kept = ["--data", str(self.folder / "sandbox.jsonl")]
        self.nursery.start(Child("sandbox", _python("-m", "amplitude_client.sandbox", *ports, *kept)))

    def _prepare(self) -> None:
        """Migrations and the first login."""
        child = self._run_once("prepare", _python("-m", "exports_portal.prepare"))
        self.prepared = json.loads(child.tail[-1])

    def _start_portal(self) -> None:
        bind = f"[{self.bind}]:{self.port}" if ":" in self.bind else f"{self.bind}:{self.port}"
        web = _python("-m", "gunicorn", "-c", "python:exports_portal.gunicorn_conf", "--bind", bind)
        self.nursery.start(Child("web", web, death_signal=signal.SIGTERM))
        for queue, count in WORKERS.items():
            options = ["-Q", queue, "-n", f"{queue}@%h", "-c", str(count), "--without-gossip", "--without-mingle"]
            self.nursery.start(Child(f"worker-{queue}", _celery("worker", *options)))
        # The memory scheduler: the one entry comes from the settings, and a file could be left half written.
        self.nursery.start(Child("beat", _celery("beat", "--scheduler", "celery.beat:Scheduler", "--pidfile=")))

    def _load_demo(self) -> None:
        """Once per database: the mark names the database that has it."""
        mark = self.folder / "demo-loaded"
        loaded_into = mark.read_text() if mark.exists() else ""
        if not runtime.is_demo() or loaded_into == self.prepared["database"]:
            return
        say("loading the demo data, about a minute …")
        self._run_once("demo", _python("-m", "exports_portal.demo"), quiet=False)
        self._prepare()  # the first login becomes a member of the demo project
        mark.write_text(self.prepared["database"])

    def _run_once(self, name: str, command: list[str], *, quiet: bool = True) -> Child:
        """Run a command to its end while the others are watched over; ServerError when it fails."""
        child = self.nursery.start(Child(name, command, once=True, quiet=quiet))
        while child.is_running():
            self._step()
        code = child.process.returncode if child.process else None
        self.nursery.end([child], within=0)
        if code != 0:
            raise ServerError(f"{ONCE_FAILED[name]} What it said last:\n{child.last_lines()}")
        return child

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while reasons := self._unready():
            if time.monotonic() > deadline:
                say(f"the portal runs, but not everything is well after {READY_SECONDS} s: {reasons}")
                return
            self._step_for(ASK_SECONDS)
            self._give_up_on_failing_children()

    def _give_up_on_failing_children(self) -> None:
        for child in self.nursery.children:
            if child.quick_deaths >= 4:
                raise ServerError(f"{child.name} ends again and again. What it said last:\n{child.last_lines()}")

    def _unready(self) -> str:
        """Why /ready does not say yes; empty when it does."""
        try:
            with DIRECT.open(f"{self.web_url}/ready", timeout=2):
                return ""
        except urllib.error.HTTPError as error:
            with error:
                return " ".join(json.load(error)["reasons"]) if error.code == 503 else ""
        except OSError:
            return "The web process does not answer."

    def _greet(self) -> None:
        say("")
        say(f"Exports Portal is running at {self.web_url}")
        password = self.prepared["password"] or "that you have chosen"
        say(f"Sign in with {self.prepared['email']} and the password {password}")
        if "sandbox_eu_url" in self.addresses:
            addresses = {"Europe": "sandbox_eu_url", "Standard": "sandbox_standard_url"}
            urls = [f"{self.addresses[addresses[region]]} ({region})" for region in runtime.regions_without_url()]
            say(f"Exports go to the Amplitude sandbox: {', '.join(urls)}")
        say(f"The data is in {self.folder}. Press Ctrl-C to end everything.")
        say("")

    # Watch

    def _watch(self) -> None:
        while True:
            self._step()

    def _step(self) -> None:
        """One round of watching; StartCancelled once a signal came."""
        if self._is_stopping():
            raise StartCancelled
        self.nursery.step()
        for server in self.servers:
            if server.process and server.process.poll() is not None and not self._is_stopping():
                say(f"{server.name} ended; starting it again.")
                server.start()

    def _step_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._step()

    def _is_stopping(self) -> bool:
        return self.signals > 0 or self.parent.is_ending()

    # Stop

    def _stop(self) -> None:
        """Beat first, so that nothing new begins; the database last. A second signal cuts the waiting short."""
        asked = self._is_stopping()
        if asked:
            say("stopping …")
        runtime.remove_addresses()
        for names, seconds in ((("beat", "prepare", "demo"), 2), (("worker",), 8), (("web", "sandbox"), 4)):
            children = [child for child in self.nursery.children if child.name.startswith(names)]
            self.nursery.end(children, within=0 if self.signals > 1 else seconds)
        for server in reversed(self.servers):
            server.stop(within=2)
        if asked:
            say("stopped.")


ONCE_FAILED = {
    "prepare": "The portal could not be prepared (settings, migrations, first login).",
    "demo": "The demo data could not be loaded. PORTAL_DEMO=0 starts the portal without it.",
}


def check_database(url: str) -> None:
    """ServerError unless DATABASE_URL leads to a PostgreSQL that is new enough."""
    if fault := runtime.database_url_fault(url):
        raise ServerError(fault)
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise ServerError(f"DATABASE_URL does not lead to a database: {reason}. Mend it, or unset it.") from None
    if version < OLDEST_POSTGRES:
        raise ServerError(
            f"DATABASE_URL leads to PostgreSQL {version}, and the portal needs {OLDEST_POSTGRES} or later. "
            "Upgrade that server, or unset DATABASE_URL to use the one that the portal brings."
        )


def check_redis(url: str) -> None:
    """ServerError unless REDIS_URL leads to a Redis."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as connection:
            connection.ping()
    except (redis.RedisError, ValueError) as error:
        raise ServerError(f"REDIS_URL does not lead to a Redis: {error}. Mend it, or unset it.") from None


def _data_dir() -> str:
    try:
        return str(runtime.data_dir())
    except OSError as error:
        raise ServerError(
            f"The data folder cannot be made: {error.filename}: {error.strerror}. Choose another with PORTAL_DATA_DIR."
        ) from None


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ServerError(f"PORT must be a number from 1 to 65535, not {text}.")
    return int(text)


def _python(*words: str) -> list[str]:
    return [sys.executable, *words]


def _celery(command: str, *options: str) -> list[str]:
    # The checks would import every page and API; prepare has run them already.
    return _python("-m", "celery", "-q", "--skip-checks", "-A", "exports_portal", command, *options)


def main() -> int:
    """Exit code 0 after a stop by signal, 1 with one clear sentence when the portal could not start."""
    os.chdir(runtime.BASE_DIR)
    os.environ["PYTHONUNBUFFERED"] = "1"
    try:
        os.environ["PORTAL_DATA_DIR"] = _data_dir()
        Supervisor().run()
    except (ServerError, runtime.FolderLocked) as error:
        say(f"Could not start. {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
