"""The fault report: `python -m tests.faults [--only WORDS] [--lease S] [--write FILE]`; exit 1 for a broken rule."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from amplitude_client.sandbox import Sandbox
from tests.faults.catalogue import CATALOGUE, LEASE
from tests.faults.scene import DELAY, EVENTS, Cost, Scene
from tests.faults.stops import stop_at_random
from tests.portal import RunningPortal

REAL_LEASE = 15
HEAD = """\
| fault | lost | doubled before dedup | after dedup | seconds to recover | requests |
|---|---:|---:|---:|---:|---:|"""
BEGIN, END = "<!-- table -->", "<!-- /table -->"


@contextmanager
def scene(lease: float, *, shards: int = 1) -> Iterator[Scene]:
    """A portal of its own that cuts runs into so many shards, with an Amplitude beside it."""
    with tempfile.TemporaryDirectory(prefix="portal-") as name, Sandbox() as amplitude:
        folder = Path(name)
        folder.chmod(0o755)
        urls = {"AMPLITUDE_EU_URL": amplitude.eu_url, "AMPLITUDE_STANDARD_URL": amplitude.standard_url}
        settings = {"PORTAL_LEASE_SECONDS": f"{lease:.0f}", "PORTAL_ROWS_PER_SHARD": f"{EVENTS // shards}"}
        with RunningPortal(folder, **settings, **urls) as portal:
            yield Scene(portal, amplitude, lease=lease, shards=shards)


def do(name: str, on: Scene) -> Cost:
    """Do one fault of the catalogue to a new export and count what it cost."""
    on.amplitude.reset()
    on.amplitude.clear_faults()
    on.amplitude.faults({"kind": "delay", "seconds": DELAY})
    CATALOGUE[name](on)
    return on.cost(name, batches=on.shards)


def row(cost: Cost) -> str:
    shown = f"{cost.lost} | {cost.doubled:,} | {cost.doubled_after} | {cost.seconds:.1f} | {cost.requests}"
    return f"| {cost.fault} | {shown} |"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="faults whose name has these words")
    parser.add_argument("--lease", type=float, default=LEASE)
    parser.add_argument("--stops", type=int, default=200)
    parser.add_argument("--write", type=Path, help="put the table into this file")
    options = parser.parse_args()
    started, costs, stops = time.monotonic(), [], ""
    print(HEAD)
    with scene(options.lease) as on:
        for name in CATALOGUE:
            if options.only in name:
                costs.append(do(name, on))
                print(row(costs[-1]), *costs[-1].broken, flush=True)
        if not options.only:
            stops = stop_at_random(on, options.stops)
            print(stops, flush=True)
        agrees = on.portal.manage("check_ledger")
        print(agrees.stdout.strip())
    if not options.only and options.lease != REAL_LEASE:
        for shards in (1, 2):
            with scene(REAL_LEASE, shards=shards) as on:
                cost = do("kill -9: all bulk workers", on)
            how = f"with the real lease of {REAL_LEASE} s" + (f" and {shards} shards" if shards > 1 else "")
            costs.append(replace(cost, fault=f"{cost.fault}, {how}"))
            print(row(costs[-1]), *costs[-1].broken, flush=True)
    print(f"{len(costs)} faults in {time.monotonic() - started:.0f} s")
    if options.write:
        write(options.write, "\n".join([HEAD, *map(row, costs), "", stops]))
    return int(agrees.returncode != 0 or any(cost.broken for cost in costs))


def write(file: Path, table: str) -> None:
    head, _, rest = file.read_text().partition(BEGIN)
    file.write_text(f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    sys.exit(main())
