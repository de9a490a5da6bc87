"""Run a command beside a throw-away PostgreSQL and Redis: `python -m tests.with_servers COMMAND …`."""

import subprocess
import sys

from tests.plugin import TestStack


def main() -> int:
    stack = TestStack(with_servers=True, keep=("PORTAL_HTTPS",))
    try:
        return subprocess.run(sys.argv[1:], check=False).returncode
    finally:
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
