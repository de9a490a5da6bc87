"""How much log a batch costs: `python -m benchmarks.log`. One worker, in both formats, without and with bad events."""

import os
import subprocess
import sys

from benchmarks import stack
from benchmarks.delivery import fill

EVENTS = 100_000
SENDERS = {"portal": "all events good", "portal_with_bad_events": "1% refused, half of them by Amplitude"}


def bytes_per_batch(sender: str, url: str, log_format: str) -> float:
    """All lines of a run over the requests that were accepted."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.senders", sender, url, str(EVENTS)],
        env={**os.environ, "BENCHMARK_LOG": "1", "LOG_FORMAT": log_format},
        stdout=subprocess.PIPE,
        check=True,
    )
    *lines, _result = done.stdout.strip().splitlines()
    return sum(len(line) + 1 for line in lines) / sum(b"batch.delivered" in line for line in lines)


def main() -> None:
    with stack.servers(), stack.sink() as url:
        fill(EVENTS)
        for sender, what in SENDERS.items():
            for log_format in ("console", "json"):
                size = bytes_per_batch(sender, url, log_format)
                print(f"log of a batch, {log_format:7}   {size:5.0f} bytes   (under 1,000)   {what}")


if __name__ == "__main__":
    main()
