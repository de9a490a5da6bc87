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

HOURS, RUNS = 24, 60  # the most that are shown
LABELS = 6
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Slot:
    """One bar's worth: a run, or an hour. `at`: its begin in the project's zone."""

    name: str
    at: datetime
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
class Tick:
    """A text at an axis. is_minor: left out where there is little room."""

    text: str
    x: float
    y: float
    anchor: str = "start"
    is_minor: bool = False


@dataclass(frozen=True)
class Part:
    """What became of some of the records of a single run, as a piece of one long bar."""

    kind: str
    label: str
    count: int
    x: float
    width: float


class Chart:
    """Slots, oldest first, across the whole width. `only`: the single run of an export: one bar would say nothing."""

    WIDTH, LEFT, TOP, FLOOR, FOOT = 640, 56, 14, 204, 228
    WIDEST = 44  # bar
    LABEL = 76  # half of the longest one, in the larger type of small screens

    def __init__(self, slots: Iterable[Slot], *, noun: str, only: RunLine | None = None) -> None:
        self.slots = list(slots)
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
        width = min(0.64 * self._room, self.WIDEST)
        return [self._bar(slot, self._middle(place) - width / 2, width) for place, slot in enumerate(self.slots)]

    @property
    def _room(self) -> float:
        """Of one slot."""
        return (self.WIDTH - self.LEFT) / len(self.slots)

    def _middle(self, place: int) -> float:
        return self.LEFT + self._room * (place + 0.5)

    @cached_property
    def _step(self) -> int:
        """Between two lines: 1, 2 or 5 times a power of ten, so that there are at most four above the floor."""
        power: int = 10 ** (len(str(max(self.highest - 1, 1) // 4 or 1)) - 1)
        return next(size * power for size in (1, 2, 5, 10) if size * power * 4 >= self.highest)

    @cached_property
    def _top(self) -> int:
        return self._step * max(1, -(-self.highest // self._step))

    @property
    def counts(self) -> list[Tick]:
        """The lines across the chart, with their numbers."""
        marks = range(0, self._top + 1, self._step)
        return [Tick(words.compact(mark), self.LEFT - 8, self._y(mark), "end") for mark in marks]

    @property
    def times(self) -> list[Tick]:
        """When some of the bars began, the newest for sure: the hour, or the day, with the time where days repeat."""
        every = -(-len(self.slots) // LABELS)
        places = range(len(self.slots) - 1, -1, -every)
        moments = [self.slots[place].at for place in places]
        texts = [f"{moment:%H:%M}" for moment in moments]
        if self.noun != "hour":
            days = [f"{moment.day} {moment:%b}" for moment in moments]
            is_told_apart = len(set(days)) == len(days)
            texts = days if is_told_apart else [f"{day}, {time}" for day, time in zip(days, texts, strict=True)]
        return [
            self._time(place, text, is_minor=index % 2 == 1 and len(texts) > 3)
            for index, (place, text) in enumerate(zip(places, texts, strict=True))
        ]

    def _time(self, place: int, text: str, *, is_minor: bool) -> Tick:
        """Under the middle of its bar, but within the picture."""
        middle = self._middle(place)
        if middle + self.LABEL > self.WIDTH:
            return Tick(text, self.WIDTH, self.FOOT, "end", is_minor)
        if middle < self.LABEL:
            return Tick(text, self.LEFT, self.FOOT, "start", is_minor)
        return Tick(text, round(middle, 2), self.FOOT, "middle", is_minor)

    def _y(self, count: int) -> float:
        """Of the upper end of so many records; a few of very many can be seen, too."""
        height = count * (self.FLOOR - self.TOP) / self._top
        return round(self.FLOOR - (max(height, 1.5) if count else 0), 2)

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
        top = self._y(slot.delivered)
        rejected = self.FLOOR - self._y(slot.rejected)
        return Bar(
            x=round(x, 2),
            width=round(width, 2),
            delivered_y=top,
            delivered_height=round(self.FLOOR - top, 2),
            rejected_y=round(top - rejected, 2),
            rejected_height=round(rejected, 2),
            label=f"{slot.name}: {slot.delivered:,} accepted, {slot.rejected:,} rejected",
        )


def chart_of(export: Export, *, now: datetime) -> Chart:
    """Per hour for a live export, else per run."""
    return _per_hour(export, now) if export.frequency == Frequency.LIVE else _per_run(export, now)


def _per_run(export: Export, now: datetime) -> Chart:
    newest = Run.objects.with_counts().filter(export=export).order_by("-sequence")[:RUNS]
    runs = [RunLine(run, now) for run in reversed(newest)]
    slots = [
        Slot(line.window, line.run.window_start.astimezone(export.project.tz), line.run.delivered, line.run.rejected)
        for line in runs
    ]
    return Chart(slots, noun="run", only=runs[0] if len(runs) == 1 else None)


def _per_hour(export: Export, now: datetime) -> Chart:
    """The last 24 hours, this one included; hours in which nothing was settled are empty."""
    latest = schedule.local_hour(now, export.project.tz)
    hours = {(latest - HOUR * back).isoformat(): latest - HOUR * back for back in reversed(range(HOURS))}
    delivered, rejected = Counter[str](), Counter[str]()
    recent = Shard.objects.filter(run__export=export, hours__has_any_keys=list(hours))
    for tally in recent.values_list("hours", flat=True):
        delivered.update({hour: counts[0] for hour, counts in tally.items()})
        rejected.update({hour: counts[1] for hour, counts in tally.items()})
    slots = [
        Slot(words.window(at, at + HOUR), at.astimezone(export.project.tz), delivered[hour], rejected[hour])
        for hour, at in hours.items()
    ]
    return Chart(slots, noun="hour")
