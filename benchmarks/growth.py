"""How delivery's time and memory grow with the run: one worker, one shard, 1 and 10 million events.

`python -m benchmarks.growth [--events N [N …]]`. Each size has a project and a process of its own. All are
filled at the same pace: a larger run is a longer one.
"""

import argparse
import time

from benchmarks import stack
from benchmarks.delivery import fill_project, rate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000])
    sizes = parser.parse_args().events
    with stack.servers(), stack.sink() as url:
        rates, peaks = [], []
        for project, events in enumerate(sizes, 1):
            started = time.monotonic()
            fill_project(project, events, hours=20 * events / max(sizes))
            print(f"{events:12,} events   filled in {time.monotonic() - started:5.0f} s", flush=True)
            result = stack.measure("benchmarks.senders", "portal", url, str(events), BENCHMARK_PROJECT=str(project))
            rates.append(rate(result))
            peaks.append(result["memory_mb"])
            print(f"{events:12,} events   {rates[-1]:10,.0f} events/s   peak {peaks[-1]:4.0f} MB", flush=True)
    print(f"time per event, largest / smallest  {rates[0] / rates[-1]:6.2f}   (at most 1.1)")
    print(f"peak memory                         {max(peaks):6.0f}   (MB, at most 200)")


if __name__ == "__main__":
    main()
