"""Child processes that never outlive the one that started them. No Django here."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
# Looked up before any fork: the child of a fork must not import or allocate more than it has to.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(death_signal: signal.Signals, *, parent: int) -> None:
    """Ask Linux to send `death_signal` to this process when its parent ends, also by kill -9.

    Must run after a change of user, which clears the wish. Elsewhere than on Linux it does nothing.
    """
    if _libc is None:
        return
    _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:  # the parent ended in the moment between fork and prctl
        os.kill(os.getpid(), death_signal)


def spawn(
    command: Sequence[str | Path],
    *,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | int | None = None,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start `command` as a child with a process group of its own (a Ctrl-C in the terminal does not reach it).

    The child gets `death_signal` when the calling **thread** ends: call it from the main thread.
    """
    return subprocess.Popen(  # noqa: S603 every caller builds the words itself, nothing comes from outside
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=None if env is None else dict(env),
        user=user,
        group=user,
        extra_groups=[] if user else None,
        start_new_session=True,
        preexec_fn=_in_child(death_signal, parent=os.getpid()),
    )


def _in_child(death_signal: signal.Signals, *, parent: int) -> Callable[[], None]:
    def prepare() -> None:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # a shell's background job has it ignored, and children inherit that
        die_with_parent(death_signal, parent=parent)

    return prepare


def end(process: subprocess.Popen[bytes], *, first: signal.Signals = signal.SIGTERM, within: float = 5) -> None:
    """End a child of `spawn` and whatever is left of its group: `first`, after `within` seconds SIGKILL."""
    if process.poll() is None:
        process.send_signal(first)
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
    kill_group(process)
    process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to what is left of the child's process group; fine when nothing is."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class MakeParent:
    """GNU make, when it is our parent: it passes SIGTERM on to us, but a SIGINT sent to make alone it keeps.

    It then waits for us with the signal's handler taken away, which Linux shows; elsewhere this sees only its end.
    """

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._is_make = _status(self._pid, "Name") in ("make", "gmake")
        self._handled = self._is_make and self._handles_interrupt()

    def is_ending(self) -> bool:
        """Whether make was told to end, or is gone."""
        if not self._is_make:
            return False
        return os.getppid() != self._pid or (self._handled and not self._handles_interrupt())

    def _handles_interrupt(self) -> bool:
        caught = int(_status(self._pid, "SigCgt") or "0", 16)
        return bool(caught >> (signal.SIGINT - 1) & 1)


def _status(pid: int, name: str) -> str:
    """A line of /proc/<pid>/status, empty when there is none."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return value.strip()
    return ""
