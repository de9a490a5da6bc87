"""Random records against a running web process: `python -m tests.fuzz [--records N] [--seed N]`; exit 1 for a fault.

Three clients at once, as uploads of the same people must not wait for each other in a circle. A fault prints the seed
that makes it again.
"""

import argparse
import json
import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from benchmarks import stack
from benchmarks.upload import Receiver, web
from tests.fuzz.records import body, broken, random_pool

CLIENTS, RECORDS, LOOK_EVERY = 3, 1_000, 30


def send(portal: Receiver, data: bytes) -> tuple[int, Any]:
    headers = {**portal.headers, "Content-Type": "application/json"}
    response = requests.post(portal.url, data=data, headers=headers, timeout=60)
    return response.status_code, response.json()


def one_request(portal: Receiver, seed: int) -> int:
    """Returns how many events were accepted of it."""
    from tests.fuzz import rules

    pool = random_pool(random.Random(seed), RECORDS)  # noqa: S311 it must come out the same again
    try:
        accepted = rules.check_answer(pool, *send(portal, body(pool)))
        status, answer = send(portal, damaged := broken(pool))
        if status == 200:  # the changed bytes lay within a text
            return accepted + _accepted(damaged, answer)
        rules.check_refused_body(status, answer)
    except Exception as error:
        raise SystemExit(f"seed {seed}: {type(error).__name__}: {error}") from error
    return accepted


def _accepted(damaged: bytes, answer: Any) -> int:
    given = json.loads(damaged, strict=False)["d"]
    refused = {int(one["error"].rpartition(" ")[2]) - 1 for one in answer["unprocessed"]}
    kinds = [one.get("type") for place, one in enumerate(given) if place not in refused]
    return kinds.count("event")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311 no secret
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + max(1, options.records // RECORDS))
    print(f"{len(seeds) * RECORDS:,} records from seed {options.seed} on", flush=True)
    with stack.servers(), web() as portal, ThreadPoolExecutor(CLIENTS) as clients:
        import django

        django.setup()
        from tests.fuzz.rules import Log

        log = Log()
        for first in range(0, len(seeds), LOOK_EVERY):
            some = seeds[first : first + LOOK_EVERY]
            log.check(sum(clients.map(lambda seed: one_request(portal, seed), some)))
            print(f"{(first + len(some)) * RECORDS:,} records: all answered, all accepted ones stored", flush=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")
    sys.exit(main())
