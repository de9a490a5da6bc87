"""How Python itself runs in processes that handle records by the thousand."""

import gc


def collect_garbage_seldom() -> None:
    """Leave what was imported out of garbage collection, and look for new cycles seldom.

    Records are tens of thousands of objects without a cycle among them. With Python's defaults looking for one costs a
    third of delivery (measured: 8.5 against 5.9 CPU seconds per million events), and a quarter of an upload (22
    against 17 µs per event, 103 against 80 per profile).
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
