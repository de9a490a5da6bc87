"""manage.py status: what /ready and /metrics tell, on one screen."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from exports.figures import Figures, figures
from exports.lag import UP_TO_DATE_SECONDS
from exports_portal import health
from exports_portal.common import bells, timings, words

LISTED = 5  # live exports that are behind most


class Command(BaseCommand):
    help = "Tell on one screen how the portal is. Exit code 1 when /ready would not say yes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the same as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        reasons = health.reasons()
        try:
            now = figures(now=timezone.now())
        except DatabaseError:
            now = None  # among the reasons
        stored = _timings()
        if options["json"]:
            self.stdout.write(json.dumps(_plain(reasons, now, stored)))
        else:
            self.stdout.write("\n".join(_screen(reasons, now, stored)))
        if reasons:
            raise SystemExit(1)


def _timings() -> dict[timings.Series, timings.Histogram]:
    try:
        return timings.read()
    except redis.RedisError:
        return {}  # among the reasons


def _plain(reasons: list[str], now: Figures | None, stored: dict[timings.Series, timings.Histogram]) -> dict[str, Any]:
    answers = [
        {**series._asdict(), "count": found.total, "p95_seconds": found.within(0.95)}
        for series, found in stored.items()
    ]
    return {"ready": not reasons, "reasons": reasons, **(asdict(now) if now else {}), "answers": answers}


def _screen(reasons: list[str], now: Figures | None, stored: dict[timings.Series, timings.Histogram]) -> Iterator[str]:
    yield _line("Portal", "ready" if not reasons else f"not ready: {' '.join(reasons)}")
    if now is not None:
        yield from _of_exports(now)
        yield from _waits(now)
    yield _line("Queues", ", ".join(f"{queue} {length}" for queue, length in bells.unheard().items()))
    for series, found in stored.items():
        what = f"Amplitude {series.status}" if series.name == timings.PARTNER else f"{series.label} {series.status}"
        slow = found.within(0.95)
        pace = f"95% within {slow * 1000:,.0f} ms" if slow else f"more than 5% over {timings.BUCKETS[-1]:.0f} s"
        yield _line("Answers", f"{what:14} {found.total:>10,}   {pace}")


def _of_exports(now: Figures) -> Iterator[str]:
    yield _line("Exports", _counts(now.exports))
    yield _line("Runs", _counts(now.totals.runs))
    yield _line("Records", f"{_counts(now.totals.records)}, unconfirmed {now.totals.unconfirmed:,}")
    failing = f"{words.counted(now.failing, 'export')}, of which {now.attention:,} must be mended"
    yield _line("Failing", failing if now.failing else "none")
    yield _line("Setup faults", _counts(now.setup_faults) or "none")


def _waits(now: Figures) -> Iterator[str]:
    late = [one for one in now.behind if one.seconds >= UP_TO_DATE_SECONDS]
    yield _line("Live", f"{words.counted(len(now.behind), 'export')}, {len(late):,} behind" if now.behind else "none")
    for one in sorted(late, key=lambda one: -one.seconds)[:LISTED]:
        yield _line("", f"export {one.export} of {one.project} is {words.duration(one.seconds)} behind")
    yield _line("Oldest due run", words.duration(now.due_seconds) if now.due_seconds else "none")
    yield _line("Horizon", words.duration(now.horizon_seconds) + " old" if now.horizon_seconds >= 1 else "up to date")


def _counts(values: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in values.items())


def _line(title: str, text: str) -> str:
    return f"{title:15}{text}"
