"""Behind the panel Export to <Partner>: its form, what it would send, and handing it to the verbs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exports import actions
from exports.forms import ExportForm
from exports.models import Export, ExportType, Frequency
from exports.pace import pace_of
from exports.preview import Preview, preview
from exports.spec import ExportSpec, spec_of
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.forms import accepts
from partners.registry import adapter_for
from projects.models import Project

LARGE = 1_000_000
# From when an edit counts, by the frequency that it leaves.
APPLIES = {
    Frequency.LIVE: "Applies from the next batch, within seconds.",
    Frequency.RECURRING: "Applies from the next run.",
}


@dataclass(frozen=True)
class Sent:
    """What will be sent: a preview, or the sentence that says what is missing for one."""

    preview: Preview | None = None
    problem: str = ""
    per_day: bool = False
    of_profiles: bool = False
    duration: str = ""

    @property
    def noun(self) -> str:
        """What is counted, in the right number."""
        one = self.preview is not None and self.preview.estimate == 1
        if not self.of_profiles:
            return "record" if one else "records"
        if self.per_day:
            return "profile update" if one else "profile updates"
        return "person" if one else "people"

    @property
    def nothing(self) -> str:
        """The sentence instead of a preview without records."""
        if not self.per_day:
            return "There are no people yet." if self.of_profiles else "No record of these days matches."
        if self.of_profiles:
            return "No profile has changed in the last 24 hours; changes will be sent as they come."
        return "No record of the last 24 hours matches; new ones will be sent as they come."

    @property
    def is_large(self) -> bool:
        """Worth a hint on the partner's event volume, for which profiles do not count (Amplitude, Identify)."""
        if self.preview is None or self.per_day or self.of_profiles:
            return False
        return self.preview.estimate >= LARGE


def form_for(
    project: Project,
    partner: str,
    data: Any,
    *,
    now: datetime,
    export: Export | None = None,
    like: ExportSpec | None = None,
) -> ExportForm:
    """The panel's form with what this project offers, to edit `export` or to make a new one, perhaps `like` another."""
    types = list(ExportType) if adapter_for(partner).takes_profiles else [ExportType.EVENTS]
    return ExportForm(
        data,
        project=project,
        integrations=list(
            project.integrations.connected().filter(partner=partner).defer("secrets").order_by("nickname")
        ),
        catalogue=list(project.event_names.order_by("-count", "name")),
        now=now,
        types=[ExportType(export.type)] if export else types,
        export=export,
        like=like,
    )


def create(form: ExportForm, *, project: Project, by: Actor, now: datetime) -> Export | None:
    """The new export; None when the form says what is wrong."""
    made: list[Export] = []

    def act() -> None:
        submission = form.cleaned_data["submission"]
        made.append(actions.create_export(project=project, spec=form.spec(), by=by, now=now, submission=submission))

    _take(form, act)
    return made[0] if made else None


def edit(form: ExportForm, *, export: Export, by: Actor, now: datetime) -> bool:
    """Whether the export was changed; else the form says why not."""
    return _take(
        form,
        lambda: actions.edit_export(
            export=export, spec=form.spec(), version=form.cleaned_data["version"], by=by, now=now
        ),
    )


def _take(form: ExportForm, act: Callable[[], Any]) -> bool:
    try:
        return accepts(form, act)
    except Refused as error:
        form.add_error(None, str(error))
        form.is_stale = isinstance(error, actions.Stale)
        return False


def what_will_be_sent(form: ExportForm, *, project: Project, now: datetime) -> Sent:
    """An estimate and ten real records for what stands in the form now."""
    if not form.is_bound:
        form = form.as_if_sent()
    if not form.is_valid():
        return Sent(problem="Complete the form to see what will be sent.")
    spec, previous = form.spec(), spec_of(form.export) if form.export else None
    try:
        found = preview(project=project, spec=spec, now=now, previous=previous)
        return Sent(
            found,
            per_day=spec.frequency != Frequency.ONE_TIME,
            of_profiles=spec.of_profiles,
            duration=_duration(spec, found.estimate),
        )
    except Invalid as error:
        return Sent(problem=form.problem(error))


def _duration(spec: ExportSpec, estimate: int) -> str:
    """How long sending takes; of a recurring export each run, of which `estimate` counts a day. Live has no end."""
    if not estimate or spec.integration_id is None or spec.frequency == Frequency.LIVE:
        return ""
    pace = pace_of(spec.integration_id)
    if spec.frequency == Frequency.ONE_TIME:
        return pace.sentence(estimate, what="Sending")
    return pace.sentence(estimate * (spec.every_hours or 24) / 24, what="Each run")
