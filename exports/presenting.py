"""What pages show of exports and runs, derived from the rows and one frozen now. Nothing here is stored."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from events.catalogue import ENGAGEMENT_EVENTS
from exports.lag import Lag, lags
from exports.models import Axis, EventChoice, Export, Frequency, Run, Status
from exports.models.export import is_accounted_for
from exports.waits import Wait, waits
from exports_portal.common import words


@dataclass(frozen=True)
class RunLine:
    """A run with counts (Run.objects.with_counts) as people see it."""

    run: Any
    now: datetime

    @property
    def window(self) -> str:
        if self.run.axis == Axis.PERSON:
            return f"all people as of {words.on(self.run.window_end)}"
        if self.run.is_endless:
            return f"since {words.on(self.run.window_start)}"
        return words.window(self.run.window_start, self.run.window_end)

    @property
    def seconds(self) -> float | None:
        """How long it has taken so far, or took; None before its start."""
        if self.run.started_at is None:
            return None
        return ((self.run.finished_at or self.now) - self.run.started_at).total_seconds()

    @property
    def took(self) -> str:
        return "" if self.seconds is None else words.duration(self.seconds)

    @property
    def percent(self) -> int:
        """Of the estimate that has been read; below 100 until the run is done."""
        if self.run.status == Status.DONE:
            return 100
        return min(99, 100 * self.run.read // self.run.estimate) if self.run.estimate else 0

    @property
    def speed(self) -> float | None:
        """Records a second over the whole run; None while nothing can be said."""
        if not self.seconds or not self.run.read:
            return None
        return self.run.read / max(self.seconds, 1.0)

    @property
    def seconds_left(self) -> float | None:
        left = self.run.estimate - self.run.read
        if self.run.status != Status.RUNNING or self.speed is None or left <= 0:
            return None
        return left / self.speed

    @property
    def left(self) -> str:
        return "" if self.seconds_left is None else words.about(self.seconds_left)

    @property
    def accounted(self) -> bool:
        return is_accounted_for(self.run)

    @property
    def attempts(self) -> int:
        return 1 + self.run.takeovers

    @property
    def what_happened(self) -> str:
        """In words, the worst first; empty when nothing is worth a word."""
        return " · ".join(filter(None, (self.run.last_error, self._lost, self._altered)))

    @property
    def _lost(self) -> str:
        lost = self.run.takeovers
        if not lost:
            return ""
        return "worker lost once, resumed" if lost == 1 else f"worker lost {lost} times, resumed"

    @property
    def _altered(self) -> str:
        return f"{words.counted(self.run.altered, 'record')} had a value shortened" if self.run.altered else ""

    @property
    def is_moving(self) -> bool:
        return self.run.status in (Status.PENDING, Status.RUNNING)


@dataclass(frozen=True)
class ExportLine:
    """An export with counts (Export.objects.with_counts) and its latest run as people see them.

    lag: of a live export that is active. wait: of any that is active.
    """

    export: Any
    latest: RunLine | None
    now: datetime
    may_edit: bool = False
    user_id: int | None = None
    lag: Lag | None = None
    wait: Wait | None = None

    @property
    def can_edit(self) -> bool:
        return self.may_edit and self.export.is_editable

    @property
    def can_stop(self) -> bool:
        return self.may_edit and self.export.is_active

    @property
    def can_retry(self) -> bool:
        """Something stands in its way, and waiting may not be what a person wants."""
        return self.may_edit and self.export.is_active and self._is_waiting

    @property
    def _is_waiting(self) -> bool:
        said = self.export.needs_attention or self.export.last_error
        return bool(said or self.export.held or (self.wait and self.wait.is_held_up))

    @property
    def can_continue(self) -> bool:
        return self.may_edit and self.export.status == Status.STOPPED and self.export.frequency != Frequency.ONE_TIME

    @property
    def partner(self) -> str:
        integration, frozen = self.export.integration, self.sent_by
        residency = integration.residency_in(frozen["integration"] if frozen else integration.settings)
        return f"{integration.adapter.label} · {residency}"

    @property
    def sent_by(self) -> dict[str, Any] | None:
        """The settings of its last run, once that is the last one: the integration may have been edited since."""
        if self.export.is_active or self.latest is None:
            return None
        run = self.latest.run
        frozen: dict[str, Any] = run.settings
        return frozen if run.integration_id == self.export.integration_id else None

    @property
    def mark(self) -> str:
        return self.export.integration.adapter.label[0]

    @property
    def format(self) -> str:
        return self.export.integration.adapter.format

    @property
    def which(self) -> str:
        """Which events: "Charged, Product Viewed +3"."""
        export = self.export
        if export.of_profiles:
            return ""
        if export.events == EventChoice.SELECTED:
            more = len(export.selected_events) - 2
            return ", ".join(export.selected_events[:2]) + (f" +{more}" if more > 0 else "")
        if export.events == EventChoice.ENGAGEMENT:
            return f"{export.get_events_display()} ({len(ENGAGEMENT_EVENTS)})"
        return export.get_events_display()

    @property
    def rhythm(self) -> str:
        """ "every 12 hours", or what a one-time export sends: its days, or all people."""
        export = self.export
        if export.frequency == Frequency.RECURRING:
            return f"every {export.every_hours} hours"
        if export.frequency == Frequency.ONE_TIME and export.of_profiles:
            return "all people"
        if export.frequency == Frequency.ONE_TIME:
            return words.days(export.date_from, export.date_to)
        return "within seconds"

    @property
    def progress(self) -> int | None:
        """Per cent of the run under way; None while there is none, and for one that has no end."""
        if self.export.status != Status.RUNNING or self.latest is None or self.latest.run.is_endless:
            return None
        return self.latest.percent

    @property
    def delivery_note(self) -> str:
        """Under the number of records delivered."""
        if self.lag is not None:
            return self.lag.in_words
        if self.progress is not None and self.latest is not None:
            left = f" · {self.latest.left} left" if self.latest.left else ""
            return f"{self.progress}%{left}"
        if self.export.status == Status.STOPPED:
            return self._stopped()
        return ""

    @property
    def waiting_note(self) -> str:
        """Under the status: the next try while sending as such is held up. A setup fault has no such time."""
        return self.wait.note if self.wait and not self.export.needs_attention else ""

    @property
    def held_note(self) -> str:
        """Under the number of records delivered: how many are held, and when the first of them goes."""
        if not self.export.held:
            return ""
        first = f" · first {self.wait.held_note}" if self.wait and self.wait.held_note else ""
        return f"{self.export.held:,} held{first}"

    def _stopped(self) -> str:
        by = self.export.stopped_by
        if self.export.stop_reason:
            return "stopped by the portal"
        if by is None:
            return "stopped"
        return "stopped by you" if by.pk == self.user_id else f"stopped by {by.email}"

    @property
    def timing_note(self) -> str:
        """Under Exported on: the next run, or how long the last one took. Live runs follow each other unnoticed."""
        export = self.export
        if export.status == Status.PENDING and export.next_run_at and export.frequency != Frequency.LIVE:
            return f"next {_short(export.next_run_at)}"
        if self.latest is not None and self.latest.took and not self.latest.is_moving:
            return f"took {self.latest.took}"
        return ""

    @property
    def sentence(self) -> str:
        """The line under the title of the View page."""
        export = self.export
        nickname = f"{export.integration.nickname} · " if export.name else ""
        parts = [
            nickname + self.partner,
            " ".join(filter(None, [export.get_type_display() + ",", self.which])).rstrip(","),
        ]
        if export.frequency == Frequency.RECURRING:
            parts.append(f"{self.rhythm} from {words.day(export.start_date)}, 12:00 a.m. {export.project.timezone}")
        else:
            parts.append(f"{export.get_frequency_display()}, {self.rhythm}")
        if export.is_active and export.next_run_at and export.frequency == Frequency.RECURRING:
            parts.append(f"next run {_short(export.next_run_at)}")
        return " · ".join(parts)


def lines(exports: Iterable[Export], *, now: datetime, may_edit: bool, user_id: int | None) -> list[ExportLine]:
    """Exports with their latest runs, lags and waits as the user sees them, by a few queries for all of them."""
    exports = list(exports)
    runs = Run.objects.with_counts().latest_of(exports)
    by_export = {run.export_id: RunLine(run, now) for run in runs}
    behind, waiting = lags(exports, now=now), waits(exports, now=now)
    return [
        ExportLine(
            export, by_export.get(export.pk), now, may_edit, user_id, behind.get(export.pk), waiting.get(export.pk)
        )
        for export in exports
    ]


def _short(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return f"{local.day} {local:%b, %H:%M}"
