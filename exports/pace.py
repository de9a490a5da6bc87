"""How fast records went out so far: what the estimate of a duration rests on."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from exports.models import Run, Status
from exports.presenting import RunLine
from exports_portal.common import words

LOOK_RUNS = 20
ENOUGH_RECORDS = 1_000  # a smaller run tells of its beginning and end only
ASSUMED = 2_000.0  # until something is known: one full request a second


@dataclass(frozen=True)
class Pace:
    """per_second: records; is_measured: it was seen in earlier runs, and not assumed."""

    per_second: float
    is_measured: bool

    def sentence(self, records: float, *, what: str) -> str:
        """How long `what` takes with so many records: "It takes about 27 min at the speed of the last runs." """
        how = "at the speed of the last runs" if self.is_measured else f"at {self.per_second:,.0f} records a second"
        return f"{what} takes {words.about(records / self.per_second)} {how}."


def pace_of(integration_id: int) -> Pace:
    """The median over the last runs through an integration that are DONE and were large enough."""
    done = Run.objects.with_counts().filter(integration_id=integration_id, status=Status.DONE, started_at__isnull=False)
    runs: Any = done.order_by("-pk")[:LOOK_RUNS]
    speeds = [RunLine(run, run.finished_at).speed or 0.0 for run in runs if run.read >= ENOUGH_RECORDS]
    return Pace(median(speeds), is_measured=True) if speeds else Pace(ASSUMED, is_measured=False)
