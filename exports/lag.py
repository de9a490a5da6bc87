"""How far live exports are behind what is captured: derived from their cursors and the log, never stored."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from events import backlog, catalogue
from events.backlog import Backlog, Place
from exports.models import EventChoice, Export, ExportType, Frequency, Shard
from exports_portal.common import words

UP_TO_DATE_SECONDS = 2.0  # a stream never stands still: what came in these seconds is on its way


@dataclass(frozen=True)
class Lag:
    """seconds: the age of the oldest record that was captured and has no outcome yet; 0 when there is none.

    waiting: about how many such records there are. Held records have an outcome and are not among them.
    """

    seconds: float
    waiting: int
    noun: str

    @property
    def is_up_to_date(self) -> bool:
        return self.seconds < UP_TO_DATE_SECONDS

    @property
    def figure(self) -> str:
        return "Up to date" if self.is_up_to_date else words.duration(self.seconds)

    @property
    def note(self) -> str:
        """Under the figure."""
        if self.is_up_to_date:
            return "sent within seconds"
        about = "about " if self.waiting >= backlog.LOOK_ROWS else ""
        noun = self.noun if self.waiting == 1 else f"{self.noun}s"
        return f"behind · {about}{self.waiting:,} {noun} waiting" if self.waiting else "behind"

    @property
    def in_words(self) -> str:
        """For a table: "Up to date", "12 s behind"."""
        return self.figure if self.is_up_to_date else f"{self.figure} behind"


def lags(exports: Iterable[Export], *, now: datetime) -> dict[int, Lag]:
    """The lag of each live export among these that is PENDING or RUNNING, by export id. No query when there is none."""
    live = [export for export in exports if export.frequency == Frequency.LIVE and export.is_active]
    if not live:
        return {}
    places = _places(live)
    found: dict[int, Lag] = {}
    for kind, noun in ((ExportType.EVENTS, "event"), (ExportType.USER_PROFILES, "profile update")):
        of_kind = {export.pk: places[export.pk] for export in live if export.type == kind}
        behind = backlog.behind(of_kind, profiles=kind == ExportType.USER_PROFILES)
        found |= {key: _lag(one, noun, now) for key, one in behind.items()}
    return found


def _places(live: list[Export]) -> dict[int, Place]:
    """Where each stands: at the cursor of the run that reads; between two runs at the beginning of the next window."""
    shards = Shard.objects.filter(run__export__in=live, open=True, reading=True)
    cursors = {
        export_id: max((tx_id, record_id), (from_tx_id, 0))
        for export_id, tx_id, record_id, from_tx_id in shards.order_by("-cursor_tx_id", "-cursor_id").values_list(
            "run__export_id", "cursor_tx_id", "cursor_id", "run__from_tx_id"
        )
    }
    # Once a recurring export has become live, its last run may have several shards: the hindmost counts.
    return {
        export.pk: Place(
            export.project_id,
            cursors.get(export.pk, (export.next_tx_id, 0)),
            export.captured_from,
            _names(export),
        )
        for export in live
    }


def _names(export: Export) -> list[str] | None:
    if export.events == EventChoice.ENGAGEMENT:
        return list(catalogue.ENGAGEMENT_EVENTS)
    return list(export.selected_events) if export.events == EventChoice.SELECTED else None


def _lag(behind: Backlog, noun: str, now: datetime) -> Lag:
    seconds = max(0.0, (now - behind.oldest).total_seconds()) if behind.oldest else 0.0
    return Lag(seconds, behind.waiting, noun)
