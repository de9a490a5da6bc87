"""How long to wait before the next try."""

import random

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 300.0
# 2**9 is beyond the longest wait already; without the bound the power would overflow a float after a long outage.
_STEPS = 9
_JITTER = random.Random()  # noqa: S311  # spreads load, guards nothing


def backoff_seconds(failures: int, *, rng: random.Random | None = None) -> float:
    """Exponential with full jitter, so that workers which failed together do not come back together.

    `failures` counts the failed tries in a row (1 after the first). One wait is at least 1 second and at most
    5 minutes; the number of tries has no cap.
    """
    ceiling = min(LONGEST_SECONDS, SHORTEST_SECONDS * 2 ** min(max(failures, 1), _STEPS))
    return max(SHORTEST_SECONDS, (rng or _JITTER).uniform(0, ceiling))
