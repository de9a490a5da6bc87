"""Whether an upload costs more when more events are stored: requests of 1,000 to one web process, 1 and 10 million.

`python -m benchmarks.stored [--events N [N …]] [--rounds N]`. Client and database share the machine.
"""

import argparse
import statistics

from benchmarks import stack
from benchmarks.delivery import fill_project
from benchmarks.upload import RECORDS, bodies, send, web

UPLOADED = 100_000  # events, in each round
PROJECTS = 1_000  # the keys of the projects with the stored events begin here


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    requests_, stored, milliseconds = bodies(UPLOADED), 0, []
    with stack.servers(), web() as portal:
        for project, events in enumerate(options.events, PROJECTS):
            fill_project(project, events - stored)
            stored = events
            send(portal, requests_[:20])
            walls = [send(portal, requests_).wall for _ in range(options.rounds)]
            milliseconds.append(statistics.median(walls) / len(requests_) * 1000)
            print(f"{events:12,} stored   {milliseconds[-1]:6.1f} ms a request of {RECORDS:,}", flush=True)
    print(f"time of a request, most stored / least  {milliseconds[-1] / milliseconds[0]:6.2f}   (at most 1.1)")


if __name__ == "__main__":
    main()
