"""The panel Export to <Partner>. It converts what was typed into an ExportSpec; the rules stand in exports.spec."""

import copy
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from django import forms
from django.utils.html import format_html

from events.catalogue import ENGAGEMENT_EVENTS
from events.models import EventName
from exports import schedule
from exports.fields import LinesField, PriorityField, SubmissionForm
from exports.hints import ENGAGEMENT_HINTS
from exports.models import EventChoice, Export, ExportType, Frequency
from exports.models.export import EVERY_HOURS
from exports.spec import GOING_ON, IDENTIFIERS, MAX_NAME, OFFERED, ExportSpec
from exports_portal.common import words
from exports_portal.common.errors import Invalid
from exports_portal.common.forms import CardSelect, DateInput
from partners.models import Integration
from projects.models import Project

CUSTOM = "custom"
# fields of the form that are named as the export's
SHOWN = (
    "name",
    "type",
    "events",
    "selected_events",
    "identifier_priority",
    "excluded_properties",
    "hyphenate_names",
    "frequency",
    "every_hours",
    "start_date",
    "version",
)
TYPE_HINTS = {ExportType.EVENTS: "What people did", ExportType.USER_PROFILES: "Who they are"}
FREQUENCY_HINTS = {
    Frequency.ONE_TIME: format_html(
        '<span data-when="events">{}</span><span data-when="profiles">{}</span>',
        f"up to the last {schedule.MAX_DAYS} days",
        "all people, once",
    ),
    Frequency.RECURRING: "every 4 to 24 hours",
    Frequency.LIVE: "within seconds",
}


class ExportForm(SubmissionForm):
    """Dates are local days of the project. A preset wins over the two dates beside it."""

    is_stale = False  # somebody else has changed the export meanwhile
    is_homeless: bool  # the integration of the export that it is like is gone

    integration = forms.TypedChoiceField(
        label="Partner Nickname",
        coerce=int,
        empty_value=None,
        required=False,
        widget=forms.Select(attrs={"data-first": True}),
    )
    name = forms.CharField(
        label="Name (optional)", required=False, widget=forms.TextInput(attrs={"maxlength": MAX_NAME})
    )
    type = forms.ChoiceField(label="Type", initial=ExportType.EVENTS, required=False)
    events = forms.ChoiceField(choices=EventChoice.choices, initial=EventChoice.ALL)
    selected_events = forms.MultipleChoiceField(label="Events to export", required=False)
    identifier_priority = PriorityField(
        label="Identifier priority",
        initial=IDENTIFIERS,
        required=False,
        help_text="Which identifier becomes the user id when the integration’s own is missing or cannot be used.",
    )
    excluded_properties = LinesField(
        label="Excluded properties",
        required=False,
        help_text="One name per line. They never leave the portal, not inside Items or other nested values either.",
    )
    hyphenate_names = forms.BooleanField(label="Hyphenate names", required=False)
    frequency = forms.ChoiceField(
        label="Frequency",
        choices=[(value, Frequency(value).label) for value in OFFERED],
        initial=Frequency.ONE_TIME,
        widget=CardSelect(hints={str(name): hint for name, hint in FREQUENCY_HINTS.items()}),
    )
    preset = forms.ChoiceField(label="Days", required=False)
    date_from = forms.DateField(label="From", required=False, widget=DateInput)
    date_to = forms.DateField(label="To", required=False, widget=DateInput)
    every_hours = forms.TypedChoiceField(
        label="Export every",
        coerce=int,
        empty_value=None,
        choices=[(hours, f"{hours} hours") for hours in EVERY_HOURS],
        initial=24,
        required=False,
    )
    start_date = forms.DateField(label="Date to export data", required=False, widget=DateInput)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        *args: Any,
        project: Project,
        integrations: list[Integration],
        catalogue: list[EventName],
        now: datetime,
        types: list[ExportType],
        export: Export | None = None,
        like: ExportSpec | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.project, self.export, self.catalogue, self.now = project, export, catalogue, now
        self.today = now.astimezone(project.tz).date()
        self.presets = schedule.presets(self.today)
        self.is_homeless = like is not None and like.integration_id not in {row.pk for row in integrations}
        self.initial = self._shown(export) if export else self._proposed(like) if like else {}
        self._offer_integrations(integrations)
        self._offer_types(types)
        self._offer_events(catalogue)
        self._offer_days()
        if export is not None:
            self._narrow()

    def _offer_integrations(self, integrations: list[Integration]) -> None:
        choices = [(row.pk, f"{row.nickname} ({row.residency_label})") for row in integrations]
        self.fields["integration"].choices = choices  # type: ignore[attr-defined]
        if integrations:
            self.fields["integration"].initial = integrations[0].pk

    def _offer_types(self, types: list[ExportType]) -> None:
        hints = {str(name): hint for name, hint in TYPE_HINTS.items()}
        choices = [(name, name.label) for name in types]
        self.fields["type"].choices = choices  # type: ignore[attr-defined]
        self.fields["type"].widget = CardSelect(choices=choices, hints=hints)

    def _offer_events(self, catalogue: list[EventName]) -> None:
        known = [(row.name, row.name) for row in catalogue]
        self.fields["selected_events"].choices = known  # type: ignore[attr-defined]
        hints = {
            EventChoice.ALL: f"{len(catalogue)} defined",
            EventChoice.SELECTED: format_html("<span data-chosen-count>{}</span>", self._chosen_in_words()),
            EventChoice.ENGAGEMENT: f"{len(ENGAGEMENT_EVENTS)} system events",
        }
        self.fields["events"].widget = CardSelect(
            choices=EventChoice.choices, hints={str(name): hint for name, hint in hints.items()}
        )

    def _chosen_in_words(self) -> str:
        chosen = len(self["selected_events"].value() or ())
        return f"{chosen} chosen" if chosen else "you choose"

    def _offer_days(self) -> None:
        choices = [(preset.key, preset.label) for preset in self.presets]
        self.fields["preset"].choices = [*choices, (CUSTOM, "Choose the days")]  # type: ignore[attr-defined]
        self.fields["preset"].initial = "last_7"
        week = next(preset for preset in self.presets if preset.key == "last_7")
        self.fields["date_from"].initial, self.fields["date_to"].initial = week.first, week.last
        oldest = schedule.oldest_day(self.today)
        for name in ("date_from", "date_to"):
            self.fields[name].widget.attrs |= {"min": oldest.isoformat(), "max": self.today.isoformat()}
        self.fields["start_date"].initial = self.today
        self.fields["start_date"].widget.attrs["min"] = oldest.isoformat()

    def _shown(self, export: Export) -> dict[str, Any]:
        shown = {name: getattr(export, name) for name in SHOWN}
        shown |= {"integration": export.integration_id, "start_date": self._proposed_start(export)}
        return {name: value for name, value in shown.items() if value is not None}

    def _narrow(self) -> None:
        """To what an edit may change."""
        self.fields["start_date"].widget.attrs["min"] = self.today.isoformat()
        self.fields["frequency"].choices = [(name, Frequency(name).label) for name in GOING_ON]  # type: ignore[attr-defined]

    def _proposed(self, spec: ExportSpec) -> dict[str, Any]:
        """Of a new export like `spec`."""
        proposed = {**asdict(spec), "integration": spec.integration_id, "preset": CUSTOM if spec.date_from else None}
        return {name: value for name, value in proposed.items() if value is not None}

    def _proposed_start(self, export: Export) -> date:
        """A changed schedule starts today or later, so a start that has passed is no proposal."""
        return max(self.today, export.start_date or self.today)

    def _start(self) -> date | None:
        """The day that was chosen; what was proposed is no change by itself."""
        chosen, export = self.cleaned_data["start_date"], self.export
        if export is None or export.start_date is None or chosen != self._proposed_start(export):
            return chosen
        return export.start_date if self.cleaned_data["every_hours"] == export.every_hours else chosen

    def as_if_sent(self) -> "ExportForm":
        """A copy of the form that holds what the form shows now."""
        sent = copy.copy(self)
        sent._bound_fields_cache = {}  # type: ignore[attr-defined]
        sent._errors = None  # type: ignore[attr-defined]
        sent.is_bound = True
        shown = {bound.html_name: bound.value() for bound in self}
        priority = self["identifier_priority"]
        places = priority.field.widget.decompress(priority.value())
        sent.data = shown | {f"{priority.html_name}_{place}": name for place, name in enumerate(places)}
        return sent

    def spec(self) -> ExportSpec:
        """What was asked for; fields of the other type and frequency are left out. Only for a form without errors."""
        data = self.cleaned_data
        kind = data["type"] or self.get_initial_for_field(self.fields["type"], "type")
        one_time, recurring = (data["frequency"] == name for name in (Frequency.ONE_TIME, Frequency.RECURRING))
        first, last = self._days() if kind == ExportType.EVENTS else (None, None)
        events = data["events"] if kind == ExportType.EVENTS else EventChoice.ALL
        return ExportSpec(
            integration_id=data["integration"],
            frequency=data["frequency"],
            name=data["name"],
            type=kind,
            events=events,
            selected_events=tuple(data["selected_events"]) if events == EventChoice.SELECTED else (),
            identifier_priority=data["identifier_priority"],
            excluded_properties=data["excluded_properties"],
            hyphenate_names=data["hyphenate_names"],
            date_from=first if one_time else None,
            date_to=last if one_time else None,
            every_hours=data["every_hours"] if recurring else None,
            start_date=self._start() if recurring else None,
        )

    def _days(self) -> tuple[date | None, date | None]:
        for preset in self.presets:
            if preset.key == self.cleaned_data["preset"]:
                return preset.first, preset.last
        return self.cleaned_data["date_from"], self.cleaned_data["date_to"]

    def problem(self, error: Invalid) -> str:
        """The first thing that a verb found wrong, for where no field can show it."""
        return next(text for texts in error.errors.values() for text in texts)

    @property
    def engagement(self) -> list[tuple[str, str]]:
        """The engagement events and what they mean."""
        return list(ENGAGEMENT_HINTS.items())

    @property
    def event_choices(self) -> list[dict[str, Any]]:
        """The catalogue for the searchable list. Made of few words: there may be 500."""
        chosen = set(self["selected_events"].value() or ())
        return [
            {"name": row.name, "note": _how_much(row, self.now), "checked": row.name in chosen}
            for row in self.catalogue
        ]

    @property
    def preset_choices(self) -> list[dict[str, Any]]:
        """Presets with their days, so that the calendar can follow without asking the server."""
        chosen = self["preset"].value() or CUSTOM
        return [
            {"preset": preset, "days": words.days(preset.first, preset.last), "checked": preset.key == chosen}
            for preset in self.presets
        ]


def _how_much(row: EventName, now: datetime) -> str:
    """How often an event came, and when last."""
    last = f" · {words.relative(row.last_seen_at, now=now)}" if row.last_seen_at else ""
    return f"{row.count:,}{last}"
