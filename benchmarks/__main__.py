"""All benchmarks, one after another: `python -m benchmarks [--large]`. Each measures in processes of its own."""

import argparse
import subprocess
import sys
import time

LARGE_ONLY = {"benchmarks.growth": [], "benchmarks.stored": [], "benchmarks.purge": ["--events", "10000000"]}
BENCHMARKS = {
    "benchmarks.upload": ["--events", "1000000", "--pairs", "3"],
    "benchmarks.reading": ["--events", "1000000", "--rounds", "3"],
    "benchmarks.delivery": ["--events", "2000000", "--pairs", "3"],
    "benchmarks.profiles": ["--people", "1000000", "--pairs", "3"],
    "benchmarks.live": ["--seconds", "300", "--idle-seconds", "120"],
    "benchmarks.log": [],
    "benchmarks.midnight": ["--exports", "10000"],
    "benchmarks.pages": ["--exports", "100000", "--runs", "1000000"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="with millions of events instead of some 100,000")
    large = parser.parse_args().large
    failed = 0
    for module, sizes in (BENCHMARKS | LARGE_ONLY if large else BENCHMARKS).items():
        print(f"\n{module}", flush=True)
        began = time.monotonic()
        failed += bool(
            subprocess.run([sys.executable, "-m", module, *(sizes if large else [])], check=False).returncode
        )
        print(f"took {time.monotonic() - began:.0f} s", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
