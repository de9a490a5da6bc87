"""The chart of the View page: what was delivered and rejected per run, and per hour for a live export."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from exports import schedule
from exports.models import Export, Frequency, Run, Shard
from exports.presenting import RunLine
from exports_portal.common import words

SLOTS = 24
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Slot:
    """One bar's worth: a run, or an hour."""

    name: str
    delivered: int
    rejected: int


@dataclass(frozen=True)
class Bar:
    """One slot in the chart; lengths are units of the SVG's view box."""

    x: float
    width: float
    delivered_y: float
    delivered_height: float
    rejected_y: float
    rejected_height: float
    label: str


@dataclass(frozen=True)
class Part:
    """What became of some of the records of a single run, as a piece of one long bar."""

    kind: str
    label: str
    count: int
    x: float
    width: float


class Chart:
    """The last slots, oldest first. `only`: the single run of an export, whose row of one bar would say nothing."""

    WIDTH, HEIGHT, TOP, FLOOR = 640, 230, 18, 208

    def __init__(self, slots: Iterable[Slot], *, noun: str, only: RunLine | None = None) -> None:
        self.slots = list(slots)[-SLOTS:]
        self.noun = noun
        self.only = only

    @cached_property
    def highest(self) -> int:
        return max((slot.delivered + slot.rejected for slot in self.slots), default=0)

    @property
    def sentence(self) -> str:
        """The chart for who does not see it; the table of runs has each number."""
        accepted, rejected = (sum(getattr(slot, name) for slot in self.slots) for name in ("delivered", "rejected"))
        return (
            f"Delivered and rejected records of the last {words.counted(len(self.slots), self.noun)}: "
            f"{accepted:,} accepted, {rejected:,} rejected, {self.highest:,} in the highest bar"
        )

    @property
    def bars(self) -> list[Bar]:
        width = self.WIDTH / SLOTS
        first = SLOTS - len(self.slots)  # the newest stands at the right end
        return [self._bar(slot, width * (place + 0.2), width * 0.6) for place, slot in enumerate(self.slots, first)]

    @property
    def parts(self) -> list[Part]:
        """Accepted, rejected, held and skipped records of the only run; a piece that is there can be seen."""
        assert self.only is not None
        run = self.only.run
        counts = {"Accepted": run.delivered, "Rejected": run.rejected, "Held": run.held, "Skipped": run.skipped}
        widths = {
            label: max(self.WIDTH * count / max(run.read, 1), 3) if count else 0 for label, count in counts.items()
        }
        scale = self.WIDTH / max(sum(widths.values()), 1)
        parts, x = [], 0.0
        for label, count in counts.items():
            width = widths[label] * scale
            parts.append(Part(label.lower(), label, count, round(x, 2), round(width, 2)))
            x += width
        return parts

    def _bar(self, slot: Slot, x: float, width: float) -> Bar:
        unit = (self.FLOOR - self.TOP) / max(self.highest, 1)
        delivered, rejected = slot.delivered * unit, slot.rejected * unit
        top = self.FLOOR - delivered
        return Bar(
            x=round(x, 2),
            width=round(width, 2),
            delivered_y=round(top, 2),
            delivered_height=round(delivered, 2),
            rejected_y=round(top - rejected, 2),
            rejected_height=round(rejected, 2),
            label=f"{slot.name}: {slot.delivered:,} accepted, {slot.rejected:,} rejected",
        )


def chart_of(export: Export, *, now: datetime) -> Chart:
    """Per hour for a live export, else per run."""
    return _per_hour(export, now) if export.frequency == Frequency.LIVE else _per_run(export, now)


def _per_run(export: Export, now: datetime) -> Chart:
    newest = Run.objects.with_counts().filter(export=export).order_by("-sequence")[:SLOTS]
    runs = [RunLine(run, now) for run in reversed(newest)]
    slots = [Slot(line.window, line.run.delivered, line.run.rejected) for line in runs]
    return Chart(slots, noun="run", only=runs[0] if len(runs) == 1 else None)


def _per_hour(export: Export, now: datetime) -> Chart:
    """The last 24 hours, this one included; hours in which nothing was settled are empty."""
    latest = schedule.local_hour(now, export.project.tz)
    hours = {(latest - HOUR * back).isoformat(): latest - HOUR * back for back in reversed(range(SLOTS))}
    delivered, rejected = Counter[str](), Counter[str]()
    recent = Shard.objects.filter(run__export=export, hours__has_any_keys=list(hours))
    for tally in recent.values_list("hours", flat=True):
        delivered.update({hour: counts[0] for hour, counts in tally.items()})
        rejected.update({hour: counts[1] for hour, counts in tally.items()})
    slots = [Slot(words.window(at, at + HOUR), delivered[hour], rejected[hour]) for hour, at in hours.items()]
    return Chart(slots, noun="hour")
