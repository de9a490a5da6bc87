"""The supervisor's children: started, watched, started again with growing pauses, their lines prefixed. No Django."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from exports_portal import processes

QUICK_SECONDS = 10  # a child that lived shorter did not really start
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 30.0
TAIL_LINES = 8


@dataclass
class Child:
    """One process that is to run for as long as the portal does (`once`: until it is done)."""

    name: str
    command: Sequence[str]
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    once: bool = False
    quiet: bool = False  # its lines are kept for the tail, but not printed
    process: subprocess.Popen[bytes] | None = None
    quick_deaths: int = 0
    started_at: float = 0.0
    start_again_at: float = 0.0
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    partial: bytes = b""

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def last_lines(self) -> str:
        return "\n".join(f"    {line}" for line in self.tail)


class Nursery:
    """All children of one supervisor, driven by its single thread through `step`."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self._selector = selectors.DefaultSelector()

    def start(self, child: Child) -> Child:
        """Start a child and watch over it from now on."""
        self.children.append(child)
        self._spawn(child)
        return child

    def step(self, seconds: float = 0.25) -> None:
        """Print what the children say for at most `seconds`, then start again those that died and had their pause."""
        for key, _events in self._selector.select(seconds):
            self._read(key.data)
        for child in self.children:
            self._look_after(child)

    def signal(self, children: Sequence[Child]) -> None:
        """Ask children to stop; they are not started again."""
        for child in children:
            if child in self.children:
                self.children.remove(child)
            if child.process and child.is_running():
                child.process.send_signal(child.stop_signal)

    def end(self, children: Sequence[Child], *, within: float) -> None:
        """End children in good order, by force after `within` seconds, with whatever they left in their groups."""
        deadline = time.monotonic() + within
        self.signal(children)
        while any(child.is_running() for child in children) and time.monotonic() < deadline:
            for key, _events in self._selector.select(0.05):
                self._read(key.data)
        for child in children:
            self._finish(child)

    def _spawn(self, child: Child) -> None:
        child.started_at = time.monotonic()
        child.process = processes.spawn(
            child.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, death_signal=child.death_signal
        )
        assert child.process.stdout
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _read(self, child: Child) -> None:
        if not child.process or not child.process.stdout:
            return
        data = child.process.stdout.read(65536)
        if data is None:
            return
        if not data:
            self._forget_output(child)
        *lines, child.partial = (child.partial + data).split(b"\n")
        for line in lines:
            self._say(child, line.decode(errors="replace"))

    def _say(self, child: Child, line: str) -> None:
        child.tail.append(line)
        if not child.quiet:
            say(line, name=child.name)

    def _forget_output(self, child: Child) -> None:
        if child.process and child.process.stdout and not child.process.stdout.closed:
            self._selector.unregister(child.process.stdout)
            child.process.stdout.close()

    def _look_after(self, child: Child) -> None:
        if child.is_running() or child.once:
            return
        if child.process:
            self._note_death(child)
        elif time.monotonic() >= child.start_again_at:
            self._spawn(child)

    def _note_death(self, child: Child) -> None:
        code = child.process.returncode if child.process else None
        lived = time.monotonic() - child.started_at
        child.quick_deaths = child.quick_deaths + 1 if lived < QUICK_SECONDS else 0
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** max(0, child.quick_deaths - 1))
        child.start_again_at = time.monotonic() + pause
        self._finish(child)
        say(f"{child.name} ended ({_how(code)}); it starts again in {pause:.1f} s.")

    def _finish(self, child: Child) -> None:
        """Collect the process, the last of its lines, and what is left of its group."""
        if not child.process:
            return
        processes.end(child.process, within=0)
        if child.process.stdout and not child.process.stdout.closed:
            self._read(child)
            self._forget_output(child)
        if child.partial:  # last words without a line break; they must not begin the next process's first line
            self._say(child, child.partial.decode(errors="replace"))
            child.partial = b""
        child.process = None


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def say(text: str, *, name: str = "portal") -> None:
    """One line on stdout with the name of the part that says it."""
    with suppress(OSError):  # whoever read our output may be gone; the portal goes on
        sys.stdout.write(f"{name:<11} | {text}\n")
        sys.stdout.flush()
