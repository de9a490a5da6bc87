"""The View page of one export: each tab asks for its own rows, and only when it is shown."""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from django.core.paginator import Page
from django.db.models import Func
from django.http import QueryDict

from exports import skipped
from exports.chart import Chart, chart_of
from exports.delay import Delay
from exports.history import Change, history
from exports.models import Export, Frequency, Rejected, Run, Skipped, Status
from exports.models.counting import is_any_of
from exports.models.export import is_accounted_for
from exports.presenting import ExportLine, RunLine
from exports.preview import LOOK_AT, PreviewRecord, Sample, sample
from exports.rejected import clean_reason, ids_in, reasons
from exports_portal.common import words
from exports_portal.common.paging import KeyPaginator

TABS = ("runs", "rejected", "skipped", "payload", "settings", "history")
PAYLOADS = 10
LOOK_AT_FOR_ONE = 50  # one that is sent is nearly always among so few, and the page does not wait for more
PER_PAGE = 20


class Detail:
    """Lazy: what the template does not show is not read."""

    def __init__(self, line: ExportLine, *, now: datetime, tab: str, query: QueryDict) -> None:
        self.line, self.export, self.now = line, line.export, now
        self.tab = tab if tab in TABS else TABS[0]
        self._query = query

    @property
    def latest(self) -> RunLine | None:
        return self.line.latest

    @property
    def is_single(self) -> bool:
        return self.export.frequency == Frequency.ONE_TIME

    @cached_property
    def continued_by(self) -> Export | None:
        """The export that goes on where this one stopped."""
        if self.export.status != Status.STOPPED:
            return None
        following = Export.objects.filter(continues=self.export).select_related("integration")
        return following.defer("integration__secrets").first()

    @property
    def anew(self) -> str:
        """Why a stopped one-time export is not continued, and what to do; empty for others."""
        if not self.is_single or self.export.status != Status.STOPPED:
            return ""
        if self.export.of_profiles:
            return "A One time export is not continued: Duplicate sends all people anew, as they are then."
        partner = self.export.integration.adapter.label
        return (
            "A One time export is not continued: Duplicate sends its days anew. Records keep their ids, so within 7 "
            f"days {partner} counts those that it has taken once."
        )

    @cached_property
    def delay(self) -> Delay:
        """What stands in its way, and what becomes of it."""
        return Delay(self.line)

    @property
    def altered_hint(self) -> str:
        """How many records were sent with a value that is not as it was captured; empty when there are none."""
        count = self.export.altered
        if not count:
            return ""
        return (
            f"{words.counted(count, 'record')} had a value shortened before it was sent: text over 1,024 characters is "
            "cut, and numbers that are none become null. The portal keeps them as they came."
        )

    @cached_property
    def unconfirmed_hint(self) -> str:
        """What unconfirmed records are, and what becomes of them; empty when there are none."""
        if not self.export.unconfirmed:
            return ""
        partner = self.export.integration.adapter.label
        one = self.export.unconfirmed == 1
        they, them = ("it", "it") if one else ("they", "them")
        taken = "this record" if one else "these records"
        what = f"Unconfirmed: {partner} may have taken {taken}, but its answer was lost. "
        if not self._stays_unconfirmed():
            again = f"{'It is' if one else 'They are'} sent again under the same ids"
            return f"{what}{again}, so {partner} counts {them} once; then this goes to 0."
        verb = "Duplicate" if self.is_single else "Continue from where it stopped"
        return (
            f"{what}The export was stopped before {they} could be sent again. {verb} sends {them} again under the same "
            f"ids: within 7 days {partner} counts {them} once."
        )

    def _stays_unconfirmed(self) -> bool:
        """A stopped export sends nothing again, but for the rejected records that somebody asks for after the stop."""
        return self.export.status == Status.STOPPED and not self.sends_again

    @cached_property
    def sends_again(self) -> bool:
        """Whether rejected records of a closed export wait to be sent again; of an active one they go with the rest."""
        return not self.export.is_active and self.resending

    @cached_property
    def resending(self) -> bool:
        """Whether any rejected records wait to be sent again."""
        return self.export.sends_again

    @property
    def in_flight_hint(self) -> str:
        partner = self.export.integration.adapter.label
        return f"They are in the requests that are out now, and count as soon as {partner} answers, usually in seconds."

    @property
    def accounted(self) -> bool:
        return is_accounted_for(self.export)

    @cached_property
    def runs(self) -> "Page[Any]":
        rows: Any = Run.objects.with_counts().filter(export=self.export).order_by("-sequence")
        page = KeyPaginator(rows, PER_PAGE).get_page(self._query.get("page") if self.tab == "runs" else 1)
        page.object_list = [RunLine(run, self.now) for run in page.object_list]
        return page

    @property
    def purged_runs(self) -> str:
        """Which runs are not listed any more, and why; empty when all are."""
        count = self.export.runs_purged
        if not count:
            return ""
        what = _gone(count, "earlier run", "runs", self.export.project.keep_runs_days)
        return f"{what} The figures over all runs count {'it' if count == 1 else 'them'} still."

    @property
    def purged_records(self) -> str:
        """The same of rejected records."""
        count = self.export.rejected_purged
        if not count:
            return ""
        what = _gone(count, "rejected record", "rejected records", self.export.project.keep_rejected_days)
        return f"{what} {'It stays' if count == 1 else 'They stay'} counted and cannot be sent again."

    @cached_property
    def chart(self) -> Chart:
        return chart_of(self.export, now=self.now)

    @cached_property
    def samples(self) -> Sample:
        """Records exactly as the partner gets them: ten on their tab, else one beside the chart, best a sent one."""
        limit, look_at = (PAYLOADS, LOOK_AT) if self.tab == "payload" else (1, LOOK_AT_FOR_ONE)
        return sample(self.export, now=self.now, limit=limit, frozen=self.line.sent_by, look_at=look_at)

    @property
    def sample(self) -> PreviewRecord | None:
        return next(iter(self.samples.all), None)

    @property
    def sample_note(self) -> str:
        """What the record beside the chart is: of an export that goes on it may be older than the export."""
        return "one of its records" if self.is_single else "an example from the last 24 hours"

    @property
    def no_sample(self) -> str:
        """Why there is no record to show."""
        if not self.export.of_profiles:
            return "no record matches yet"
        return "there are no people yet" if self.is_single else "no profile has changed in the last 24 hours"

    @cached_property
    def rejected(self) -> "Page[Any]":
        rows = Rejected.objects.filter(run__export=self.export).select_related("run").order_by("-id")
        rows = rows.filter(reason=self.reason) if self.reason else rows
        count = sum(count for reason, count in self.reasons if self.reason in ("", reason))
        page = KeyPaginator(rows, PER_PAGE, count=count).get_page(self._query.get("page"))
        for record in page.object_list:
            record.reason_label = self._reason_label(record.reason)
        return page

    @property
    def _reason_label(self) -> Callable[[str], str]:
        return self.export.integration.adapter.reason_label

    @cached_property
    def reason(self) -> str:
        """The reason that the list of rejected records is filtered by; empty: all."""
        return clean_reason(str(self._query.get("reason", "")))

    @cached_property
    def reasons(self) -> list[tuple[str, int]]:
        """Why records were rejected, and how many."""
        return reasons(Rejected.objects.filter(self._in_its_runs()))

    def _in_its_runs(self) -> Func:
        """For sums over all records: joined to the runs they would be looked up one by one."""
        return is_any_of("run_id", self.export.runs.order_by().values("pk"))

    @property
    def reason_chips(self) -> list[tuple[str, str, int]]:
        """The same with the reason in words in between."""
        return [(reason, self._reason_label(reason), count) for reason, count in self.reasons]

    @property
    def asks_consent(self) -> bool:
        """Somebody wanted to send records again that the partner may count twice by now."""
        return self._query.get("consent") == "asked"

    @property
    def continues_with_consent(self) -> bool:
        """Somebody wanted to continue an export of which the partner may count some records twice by now."""
        return self._query.get("consent") == "continue"

    @cached_property
    def chosen(self) -> list[int]:
        """Records that were chosen when the consent was asked for."""
        return ids_in(self._query) if self.asks_consent else []

    @property
    def is_followed(self) -> bool:
        """Whether the page asks again for what may have changed."""
        return self.export.is_active or self.resending

    @property
    def follow(self) -> str:
        """The query by which it asks: for the rejected records too, as long as they may go or the first may come."""
        if self.tab == "rejected":
            return self._asking.urlencode()
        page = self.runs.number if self.tab == "runs" else 1
        return f"tab={self.tab}&page={page}"

    @property
    def follows_rejected(self) -> bool:
        return self.tab == "rejected" and self._query.get("follow") == "rejected"

    @property
    def here(self) -> str:
        """The query of this page of rejected records, to come back to."""
        return self._here().urlencode()

    def _here(self) -> QueryDict:
        here = QueryDict(mutable=True)
        here.update({"tab": "rejected", "page": str(self.rejected.number)})
        if self.reason:
            here["reason"] = self.reason
        return here

    @property
    def _asking(self) -> QueryDict:
        """The same while the page is followed: a question that is open on it stays open."""
        asking = self._here()
        if self.resending or not self.rejected.object_list:
            asking["follow"] = "rejected"
        if self.asks_consent:
            asking["consent"] = "asked"
            asking.setlist("id", [str(key) for key in self.chosen])
        return asking

    @cached_property
    def skip_reasons(self) -> list[tuple[str, int]]:
        """Why records could not be sent at all, and how many. Where all are listed, they have been counted already."""
        is_complete = sum(count for _, count in self._listed) == self.export.skipped
        found = self._listed if is_complete else skipped.reasons(self.export)
        return [(skipped.reason_in_words(reason), count) for reason, count in found]

    @cached_property
    def _listed(self) -> list[tuple[str, int]]:
        """The reasons of the skipped records that are listed, and how many have them."""
        return reasons(Skipped.objects.filter(self._in_its_runs()))

    @cached_property
    def skipped(self) -> "Page[Any]":
        rows: Any = Skipped.objects.filter(run__export=self.export).select_related("run").order_by("-run", "id")
        count = sum(count for _, count in self._listed)
        page = KeyPaginator(rows, PER_PAGE, count=count).get_page(self._query.get("page"))
        page.object_list = skipped.lines(list(page.object_list), export=self.export)
        return page

    @cached_property
    def settings(self) -> list[tuple[str, str]]:
        export, integration = self.export, self.export.integration
        adapter = integration.adapter
        chosen = self.line.sent_by["integration"] if self.line.sent_by else integration.settings
        mapping = [
            (spec.label, adapter.choice_label(spec.name, chosen.get(spec.name, "")))
            for spec in adapter.fields
            if not spec.secret
        ]
        events = [("Events", ", ".join(export.selected_events) or export.get_events_display())]
        return [
            ("Partner Nickname", integration.nickname),
            *mapping,
            ("Type", export.get_type_display()),
            *([] if export.of_profiles else events),
            ("Identifier priority", ", ".join(name.capitalize() for name in export.identifier_priority)),
            ("Excluded properties", ", ".join(export.excluded_properties) or "none"),
            ("Hyphenate names", "yes" if export.hyphenate_names else "no"),
            ("Frequency", f"{export.get_frequency_display()}, {self.line.rhythm}"),
            ("Date to export data", self._dates()),
            ("Created", words.on(export.created_at)),
        ]

    def _dates(self) -> str:
        export = self.export
        if self.is_single:
            return self.line.rhythm
        if export.start_date is None:
            return f"what is captured from {words.on(export.captured_from)} on"
        return f"from {words.day(export.start_date)}, 12:00 a.m."

    @cached_property
    def history(self) -> list[Change]:
        finished = self.latest.run.finished_at if self.latest else None
        end = max(filter(None, (self.export.updated_at, finished)))
        return history(self.export, until=None if self.export.is_active else end)


def _gone(count: int, noun: str, kind: str, days: int | None) -> str:
    """The policy is that of today, which may not be the one by which they were deleted."""
    what = f"{words.counted(count, noun)} {'is' if count == 1 else 'are'} not listed any more"
    if days is None:
        return f"{what}: the project kept {kind} for a limited time."
    return f"{what}: the project keeps {kind} for {words.counted(days, 'day')} after the end of their run."
