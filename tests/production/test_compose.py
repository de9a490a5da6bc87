"""docker-compose.yml and the Dockerfile at work: their own commands and settings, as processes of this machine."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from amplitude_client.sandbox import Sandbox
from exports_portal.runtime import BASE_DIR
from tests.endtoend.user import User, shop_events
from tests.portal import wait_until
from tests.production.files import MissingVariable, compose, documented, image
from tests.production.stack import Compose

KEYS = {name: f"{number:032x}" for number, name in enumerate(("job", "machine", "upgrade", "restore"), 1)}
EVENTS = 8_000


@pytest.fixture(scope="module")
def amplitude() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


@pytest.fixture(scope="module")
def portal(amplitude: Sandbox) -> Iterator[Compose]:
    hosts = {"AMPLITUDE_EU_URL": amplitude.eu_url, "AMPLITUDE_STANDARD_URL": amplitude.standard_url}
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        stack = Compose(folder, PORTAL_LEASE_SECONDS="2", **hosts)
        try:
            stack.up()
            yield stack
        finally:
            stack.down()


@pytest.fixture(scope="module")
def user(portal: Compose) -> User:
    found = User(portal)  # type: ignore[arg-type]
    found.upload(shop_events(EVENTS))
    return found


def begin(user: User, amplitude: Sandbox, key: str) -> dict[str, Any]:
    """An export that takes some seconds, of which some are sent already."""
    amplitude.faults({"kind": "delay", "seconds": 0.5})
    export = user.export_last_days(user.integrate(KEYS[key], nickname=key))
    wait_until(lambda: user.api("GET", f"exports/{export['id']}/", expect=200)["delivered"] > 0, seconds=60)
    return export


def sent(amplitude: Sandbox, key: str) -> tuple[int, int]:
    """How many events arrived, and how many of them count."""
    arrived = amplitude.events(api_key=KEYS[key])
    return len(arrived), sum(not one["duplicate"] for one in arrived)


def test_the_whole_job_through_the_outer_face(portal: Compose, user: User, amplitude: Sandbox) -> None:
    assert portal.is_healthy()
    export = user.export_last_days(user.integrate(KEYS["job"]))
    done, _ = user.wait_for(export, "DONE", seconds=60)
    assert done["delivered"] == EVENTS
    assert sent(amplitude, "job") == (EVENTS, EVENTS)


def test_workers_on_another_machine_share_the_work_and_may_be_lost(
    portal: Compose, user: User, amplitude: Sandbox
) -> None:
    portal.main.stop("worker-bulk", within=40)
    other = portal.machine("other")
    other.start("worker-bulk", portal.command("worker-bulk"))
    export = begin(user, amplitude, "machine")
    other.kill()
    portal.main.start("worker-bulk", portal.command("worker-bulk"))
    amplitude.clear_faults()
    done, _ = user.wait_for(export, "DONE", seconds=60)
    assert done["delivered"] == EVENTS
    assert sent(amplitude, "machine")[1] == EVENTS


def test_an_upgrade_while_an_export_runs_loses_and_doubles_nothing(
    portal: Compose, user: User, amplitude: Sandbox
) -> None:
    export = begin(user, amplitude, "upgrade")
    portal.migrate()
    for service in portal.portal_services:
        portal.restart(service)
    amplitude.clear_faults()
    wait_until(portal.is_ready, seconds=60)
    done, _ = user.wait_for(export, "DONE", seconds=60)
    assert done["delivered"] == EVENTS
    assert sent(amplitude, "upgrade") == (EVENTS, EVENTS)


def test_a_backup_is_restored_and_goes_on(portal: Compose, amplitude: Sandbox) -> None:
    user = User(portal, name="Restored")  # type: ignore[arg-type]
    integration = user.integrate(KEYS["restore"], nickname="restore")
    live = user.api("POST", "exports/", expect=201, integration=integration["id"], frequency="live")
    user.upload(shop_events(100))
    wait_until(lambda: sent(amplitude, "restore")[1] == 100, seconds=30)
    dump = portal.folder / "portal.dump"
    portal.in_postgres(documented("docker compose exec -T postgres pg_dump"), stdout=dump)
    portal.stop_portal()
    portal.stop_postgres()

    portal.start_postgres("another")
    portal.in_postgres(documented("docker compose exec -T postgres pg_restore"), stdin=dump)
    portal.migrate()
    for service in portal.portal_services:
        portal.main.start(service, portal.command(service))
    wait_until(portal.is_healthy, seconds=60)
    assert not portal.is_ready()
    rebase = documented("docker compose run --rm migrate python").removeprefix("docker compose run --rm migrate ")
    assert portal.run(*rebase.split()).returncode == 0
    wait_until(portal.is_ready, seconds=60)
    user.upload(shop_events(50))
    wait_until(lambda: sent(amplitude, "restore")[1] == 150, seconds=60)
    assert user.api("GET", f"exports/{live['id']}/", expect=200)["delivered"] == 150
    assert portal.manage("check_ledger").returncode == 0


def test_the_image_has_what_the_portal_needs_and_no_more() -> None:
    packages = {path.parent.name for path in BASE_DIR.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert set(image().copied) == packages | {"manage.py", "templates", "static"}
    assert image().user.isdecimal(), "not root, and Kubernetes can see it"


def test_every_variable_of_the_portal_reaches_its_containers() -> None:
    """What .env.example offers, but for what the image or make run decide."""
    known = set(re.findall(r"(?m)^#([A-Z_]+)=", (BASE_DIR / ".env.example").read_text()))
    elsewhere = {"PORT", "PORTAL_BIND", "PORTAL_DATA_DIR", "PORTAL_DEMO", "DJANGO_DEBUG", "POSTGRES_PASSWORD"}
    elsewhere |= {"PORTAL_NAME", "PRIVATE_ADDRESS", "REDIS_PASSWORD", "POSTGRES_SHARED_BUFFERS", "LOG_FILE_SIZE"}
    passed = set(compose({"POSTGRES_PASSWORD": "x"})["web"]["environment"])
    assert known - elsewhere == passed


def test_no_log_fills_the_disk() -> None:
    for name, service in compose({"POSTGRES_PASSWORD": "x", "LOG_FILE_SIZE": "10m"}).items():
        assert service["logging"] == {"driver": "local", "options": {"max-size": "10m", "max-file": "5"}}, name


def test_nothing_starts_without_a_password() -> None:
    with pytest.raises(MissingVariable, match="set POSTGRES_PASSWORD"):
        compose({})


def test_the_proxy_passes_a_request_on_once_all_of_it_is_there() -> None:
    """Up to the largest upload: slow clients wait at the proxy, not in a thread of the portal."""
    proxy = compose({"POSTGRES_PASSWORD": "x", "PORTAL_NAME": "portal.example.com"})["proxy"]
    assert "./Caddyfile:/etc/caddy/Caddyfile:ro" in proxy["volumes"]
    assert proxy["environment"] == {"PORTAL_NAME": "portal.example.com"}
    said = (BASE_DIR / "Caddyfile").read_text()
    assert "{$PORTAL_NAME:localhost} {" in said
    assert "reverse_proxy web:8000 {" in said
    megabytes = [int(number) for number in re.findall(r"(?:max_size|request_buffers) (\d+)MiB", said)]
    assert megabytes == [settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20] * 2


def test_for_other_machines_redis_has_a_password() -> None:
    files = ("docker-compose.yml", "docker-compose.machines.yml")
    values = {"POSTGRES_PASSWORD": "x", "PRIVATE_ADDRESS": "10.0.0.5", "REDIS_PASSWORD": "y"}
    services = compose(values, *files)
    assert services["redis"]["command"][-2:] == ["--requirepass", "y"]
    assert services["postgres"]["ports"] == ["10.0.0.5:5432:5432"]
    with pytest.raises(MissingVariable, match="REDIS_PASSWORD"):
        compose({**values, "REDIS_PASSWORD": ""}, *files)
