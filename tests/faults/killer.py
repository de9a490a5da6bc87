"""A Celery worker killed at a named step: `python -m tests.faults.killer MODULE:FUNCTION:EVENT:NTH -- worker …`.

EVENT is call or return. The portal's code runs as it is: the interpreter's profiling hook watches for the step, as a
debugger would, and then SIGKILL takes the process.
"""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any


class Killer:
    def __init__(self, step: str) -> None:
        self.module, self.function, self.event, nth = step.split(":")
        self.left = int(nth)

    def __call__(self, frame: FrameType, event: str, _arg: Any) -> None:
        if event != self.event or frame.f_code.co_qualname != self.function:
            return
        if frame.f_globals.get("__name__") == self.module:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    step, arguments = sys.argv[1], sys.argv[sys.argv.index("--") + 1 :]
    from celery.__main__ import main as celery

    sys.argv = ["celery", "-q", "--skip-checks", "-A", "exports_portal", *arguments]
    killer = Killer(step)
    threading.setprofile(killer)
    sys.setprofile(killer)
    celery()


if __name__ == "__main__":
    main()
