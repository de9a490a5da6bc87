"""What stands in an export's way: why it waits, until when, what the portal does, and what a person can do."""

from dataclasses import dataclass

from exports.models import Export, Frequency
from exports.presenting import ExportLine
from exports.waits import HeldFor
from exports_portal.common import words


@dataclass(frozen=True)
class Delay:
    """Sentences for the View page, derived from one line of the table. Each is empty when there is nothing to say."""

    line: ExportLine

    @property
    def export(self) -> Export:
        export: Export = self.line.export
        return export

    @property
    def held_up(self) -> str:
        """Why nothing is sent at the moment, though nobody need mend anything; empty when nothing stands in the way."""
        wait, integration = self.line.wait, self.export.integration
        if self.export.last_error or wait is None or not wait.paused_until:
            return str(self.export.last_error)
        return (
            f"{integration.adapter.label} asked for a pause: all exports of “{integration.nickname}” wait, "
            "and nothing is lost."
        )

    @property
    def what_goes_on(self) -> str:
        """After a sentence about what stands in the way: what the portal does by itself, and when."""
        wait, probe_at = self.line.wait, self.export.integration.probe_at
        if self.export.needs_attention and probe_at:
            return f"The portal looks again {words.until(probe_at, now=self.line.now)}; Retry now looks at once."
        if wait is None or self.export.needs_attention:
            return ""
        if not wait.is_held_up:
            return "Trying again now."
        tries = f" after {words.counted(wait.failures, 'failure')} in a row" if wait.failures > 1 else ""
        return f"Next try {wait.next_in_words}{tries}; Retry now does not wait."

    @property
    def held(self) -> list[HeldFor]:
        """Why records are held, and until when; only while they will be sent."""
        return self.line.wait.held if self.line.wait else []

    @property
    def held_sentence(self) -> str:
        count = self.line.export.held
        if not count:
            return ""
        if self.export.is_active:
            return f"{words.counted(count, 'record')} {'is' if count == 1 else 'are'} held."
        return f"{words.counted(count, 'held record')} {'was' if count == 1 else 'were'} not sent."

    @property
    def held_cure(self) -> str:
        """What becomes of held records, and what a person can do."""
        if self.export.is_active:
            if self.line.export.held == 1:
                return "It is sent by itself. The run is done when none is left."
            return "They are sent by themselves, in their order. The run is done when none is left."
        once = self.export.frequency == Frequency.ONE_TIME
        them = "it" if self.line.export.held == 1 else "them"
        verb = "Duplicate sends all records of it" if once else f"Continue from where it stopped sends {them}"
        return f"The export was stopped first. {verb} under the same ids."
