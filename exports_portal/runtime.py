"""Where the running portal is: the data folder, the servers' addresses in it, and keys made once.

`make run` (the supervisor) alone starts servers and writes their addresses; every other command reads
them here. Environment variables win. No Django in this module: settings, supervisor and tests share it.
"""

import fcntl
import ipaddress
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography.fernet import Fernet

ADDRESSES = "addresses.json"
BASE_DIR = Path(__file__).resolve().parent.parent


def data_dir() -> Path:
    """The folder that holds the embedded database, keys and addresses; made if missing."""
    path = Path(os.environ.get("PORTAL_DATA_DIR") or BASE_DIR / "var").resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


def addresses() -> dict[str, str]:
    """Addresses that the supervisor wrote, {} when it does not run.

    Keys: database_url, redis_url, web_url, and with the sandbox sandbox_standard_url and sandbox_eu_url.
    """
    try:
        found: dict[str, str] = json.loads((data_dir() / ADDRESSES).read_text())
    except FileNotFoundError:
        return {}
    return found


def write_addresses(found: dict[str, str]) -> None:
    """Tell every other command where the servers are; only the owner may read it, as it holds passwords."""
    part = data_dir() / f"{ADDRESSES}.part"
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(json.dumps(found, indent=2))
    part.replace(data_dir() / ADDRESSES)


def remove_addresses() -> None:
    """The servers are going away."""
    (data_dir() / ADDRESSES).unlink(missing_ok=True)


class FolderLocked(Exception):
    """Another portal runs on this data folder."""


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the data folder for this process; FolderLocked when another one does. Dies with the process."""
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise FolderLocked(
                f"The data folder {folder} is in use by another portal (process {file.read().strip() or 'unknown'}). "
                "Stop that one, or give this one a folder of its own with PORTAL_DATA_DIR."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_demo() -> bool:
    """PORTAL_DEMO: demo data and sandbox, unless switched off."""
    return os.environ.get("PORTAL_DEMO", "1").lower() not in ("0", "false", "no", "off")


def request_seconds() -> int:
    """PORTAL_REQUEST_SECONDS: how long the web waits for a client's next piece, or for one statement."""
    return int(os.environ.get("PORTAL_REQUEST_SECONDS") or 30)


def log_format() -> str:
    """LOG_FORMAT: json, or console for readable lines."""
    return os.environ.get("LOG_FORMAT") or "console"


def secret(name: str) -> str:
    """A secret key of this data folder, made on first use (readable by its owner only)."""
    path = data_dir() / "keys" / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        value = Fernet.generate_key().decode() if name == "encryption_key" else secrets.token_urlsafe(48)
        part = path.with_suffix(f".{os.getpid()}")
        part.touch(mode=0o600)
        part.write_text(value)
        try:
            os.link(part, path)  # the first of several processes wins; the others read its key
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path.read_text()


def database_url_fault(url: str) -> str:
    """What is wrong with a DATABASE_URL by its looks; empty when nothing is."""
    scheme = urlsplit(url).scheme
    if scheme in ("postgres", "postgresql"):
        return ""
    return f"DATABASE_URL must start with postgresql://, not {scheme}://: the portal runs on PostgreSQL only."


def database() -> dict[str, Any]:
    """Django's DATABASES entry from DATABASE_URL, else from the running portal.

    Without either the entry points at a socket that does not exist, and connecting says so.
    """
    url = os.environ.get("DATABASE_URL") or addresses().get("database_url", "")
    if url and (fault := database_url_fault(url)):
        raise SystemExit(fault)
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or parts.hostname or str(data_dir() / "not-running-start-it-with-make-run")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "portal",
        "USER": unquote(parts.username or "postgres"),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def email(url: str) -> dict[str, Any]:
    """Django's EMAIL_… settings from EMAIL_URL: smtp:// (STARTTLS with ?tls=1), smtps://; unset prints to the log."""
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps"):
        raise SystemExit(f"EMAIL_URL must start with smtp:// or smtps://, not {parts.scheme}://.")
    secure = parts.scheme == "smtps"
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname or "localhost",
        "EMAIL_PORT": parts.port or (465 if secure else 25),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": secure,
        "EMAIL_USE_TLS": not secure and dict(parse_qsl(parts.query)).get("tls") == "1",
        "EMAIL_TIMEOUT": 30,
    }


def amplitude_url(name: str, url: str) -> str:
    """An AMPLITUDE_*_URL as it may be used; SystemExit when it is no address, before a delivery finds out."""
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query):
        raise SystemExit(f"{name} must be an address without a path, such as https://api2.amplitude.com, not {url}.")
    return url.rstrip("/")


AMPLITUDE_URLS = {"Standard": "AMPLITUDE_STANDARD_URL", "Europe": "AMPLITUDE_EU_URL"}


def regions_without_url() -> list[str]:
    """The data regions whose AMPLITUDE_*_URL is not given."""
    return [region for region, name in AMPLITUDE_URLS.items() if not os.environ.get(name)]


def one_sided_urls() -> str:
    """What to tell somebody who gave an address for one region only; empty when nothing is to be told."""
    missing = regions_without_url()
    if len(missing) != 1:
        return ""
    (region,) = missing
    (given,) = set(AMPLITUDE_URLS.values()) - {AMPLITUDE_URLS[region]}
    return (
        f"{given} is set, {AMPLITUDE_URLS[region]} is not: integrations of the region {region} speak to Amplitude "
        "itself, and so does Test connection when it asks the other region. Set both to keep everything away from it."
    )


def encryption_keys(given: list[str]) -> list[str]:
    """PORTAL_ENCRYPTION_KEYS, else this folder's own key; SystemExit when one is no key. Never tells a key."""
    try:
        for key in given:
            Fernet(key)
    except ValueError:
        raise SystemExit(
            "PORTAL_ENCRYPTION_KEYS holds something that is no key: each is 32 bytes in URL-safe base64. Make one: "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        ) from None
    return given or [secret("encryption_key")]


def networks(name: str, given: list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Networks such as 10.1.0.0/16; SystemExit when one is none."""
    try:
        return [ipaddress.ip_network(network.strip()) for network in given]
    except ValueError as error:
        raise SystemExit(f"{name} must be networks such as 10.1.0.0/16, separated by commas: {error}.") from None


def redis_url() -> str:
    """REDIS_URL, else the running portal's."""
    return os.environ.get("REDIS_URL") or addresses().get("redis_url", "redis://127.0.0.1:1/0")
