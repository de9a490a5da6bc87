"""What people ask for when they create or edit an export, and the rules that it must meet.

The web form and the REST API both fill an ExportSpec; the rules stand here once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta

from events import catalogue
from exports import schedule
from exports.models import EventChoice, Export, ExportType, Frequency
from exports.models.export import EVERY_HOURS
from exports_portal.common import words
from exports_portal.common.errors import Invalid
from partners.models import Integration
from projects.models import Project

IDENTIFIERS = ("identity", "email", "phone")
MAX_NAME = 200
GOING_ON = (Frequency.RECURRING, Frequency.LIVE)  # they may turn into each other
OFFERED = (Frequency.ONE_TIME, *GOING_ON)


@dataclass(frozen=True)
class ExportSpec:
    """The writable fields of an export, named as in the REST API. Dates are inclusive local days of the project.

    A one-time export of user profiles may name days, as all one-time exports do, but does not keep them: it sends all
    people once, as they are when they are read.
    """

    integration_id: int | None
    frequency: str
    name: str = ""
    type: str = ExportType.EVENTS.value
    events: str = EventChoice.ALL.value
    selected_events: tuple[str, ...] = ()
    identifier_priority: tuple[str, ...] = IDENTIFIERS
    excluded_properties: tuple[str, ...] = ()
    hyphenate_names: bool = False
    date_from: date | None = None
    date_to: date | None = None
    every_hours: int | None = None
    start_date: date | None = None

    @property
    def of_profiles(self) -> bool:
        return self.type == ExportType.USER_PROFILES


WRITABLE = tuple(field.name for field in fields(ExportSpec) if field.name != "integration_id")


class _Errors(dict[str, list[str]]):
    def add(self, field: str, message: str) -> None:
        self.setdefault(field, []).append(message)


def spec_of(export: Export) -> ExportSpec:
    """The spec that would make this export again."""
    return ExportSpec(
        integration_id=export.integration_id,
        frequency=export.frequency,
        name=export.name,
        type=export.type,
        events=export.events,
        selected_events=tuple(export.selected_events),
        identifier_priority=tuple(export.identifier_priority),
        excluded_properties=tuple(export.excluded_properties),
        hyphenate_names=export.hyphenate_names,
        date_from=export.date_from,
        date_to=export.date_to,
        every_hours=export.every_hours,
        start_date=export.start_date,
    )


def check(spec: ExportSpec, *, project: Project, now: datetime, previous: ExportSpec | None = None) -> Integration:
    """The integration that `spec` names, once every rule holds; else raises Invalid with all that is wrong.

    `previous` is the spec of the export being edited: dates that did not change are not judged again.
    """
    errors = _Errors()
    integration = project.integrations.connected().defer("secrets").filter(pk=spec.integration_id or 0).first()
    if integration is None:
        errors.add("integration", "Choose one of this project's integrations.")
    today = now.astimezone(project.tz).date()
    _check_name(spec, errors)
    _check_type(spec, integration, errors)
    _check_events(spec, project, errors)
    _check_identifiers(spec, errors)
    checks: dict[str, Callable[..., None]] = {
        Frequency.ONE_TIME: _check_one_time,
        Frequency.RECURRING: _check_recurring,
        Frequency.LIVE: _check_live,
    }
    check_dates = checks.get(spec.frequency)
    if check_dates is None:
        errors.add("frequency", f"Choose one of: {', '.join(OFFERED)}.")
    else:
        check_dates(spec, today, errors, previous)
    if errors:
        raise Invalid(errors)
    assert integration is not None
    return integration


def _check_name(spec: ExportSpec, errors: _Errors) -> None:
    if len(spec.name) > MAX_NAME:
        errors.add("name", f"The name has {len(spec.name)} characters; {MAX_NAME} is the most.")


def _check_type(spec: ExportSpec, integration: Integration | None, errors: _Errors) -> None:
    if spec.type not in ExportType.values:
        errors.add("type", f"Choose one of: {', '.join(ExportType.values)}.")
    elif spec.of_profiles and integration is not None and not integration.adapter.takes_profiles:
        errors.add("type", f"{integration.adapter.label} takes events only.")


def _check_events(spec: ExportSpec, project: Project, errors: _Errors) -> None:
    if spec.of_profiles:
        for field, empty in (("events", EventChoice.ALL), ("selected_events", ())):
            if getattr(spec, field) != empty:
                errors.add(field, "This does not belong to the type user_profiles. Leave it out.")
        return
    if spec.events not in EventChoice.values:
        errors.add("events", f"Choose one of: {', '.join(EventChoice.values)}.")
    if spec.events != EventChoice.SELECTED:
        return
    if not spec.selected_events:
        errors.add("selected_events", "Select at least one event.")
        return
    unknown = sorted(set(spec.selected_events) - catalogue.known_names(project, spec.selected_events))
    if unknown:
        names = ", ".join(f"“{name}”" for name in unknown[:5]) + ("…" if len(unknown) > 5 else "")
        errors.add("selected_events", f"This project has no event named {names}. Choose from the catalogue.")


def _check_identifiers(spec: ExportSpec, errors: _Errors) -> None:
    priority = spec.identifier_priority
    if not priority:
        errors.add("identifier_priority", "Name at least one identifier.")
    if set(priority) - set(IDENTIFIERS) or len(set(priority)) != len(priority):
        errors.add("identifier_priority", f"Use each of these at most once: {', '.join(IDENTIFIERS)}.")
    if any(not name or len(name) > 512 for name in spec.excluded_properties):
        errors.add("excluded_properties", "A property name has between 1 and 512 characters.")


def _check_one_time(spec: ExportSpec, today: date, errors: _Errors, previous: ExportSpec | None) -> None:
    _refuse_extra(spec, errors, "every_hours", "start_date")
    if spec.of_profiles:
        return
    for field, value in (("date_from", spec.date_from), ("date_to", spec.date_to)):
        if value is None:
            errors.add(field, "Choose a date.")
        elif value > today:
            errors.add(
                field, f"{words.day(value)} lies in the future. A one-time export sends what has been captured already."
            )
        elif value < schedule.oldest_day(today):
            errors.add(field, _too_old(value, today))
    if spec.date_from and spec.date_to and spec.date_to < spec.date_from:
        errors.add("date_to", f"The last day lies before the first, {words.day(spec.date_from)}.")


def _check_recurring(spec: ExportSpec, today: date, errors: _Errors, previous: ExportSpec | None) -> None:
    _refuse_extra(spec, errors, "date_from", "date_to")
    if spec.every_hours not in EVERY_HOURS:
        errors.add("every_hours", f"Choose every {', '.join(map(str, EVERY_HOURS[:-1]))} or {EVERY_HOURS[-1]} hours.")
    if spec.start_date is None:
        errors.add("start_date", "Choose a date.")
        return
    if previous is not None and _cycle(spec) == _cycle(previous):
        return
    if previous is not None and spec.start_date < today:
        errors.add("start_date", f"{words.day(spec.start_date)} has passed. A changed schedule starts today or later.")
    elif spec.start_date < schedule.oldest_day(today):
        errors.add("start_date", _too_old(spec.start_date, today))
    elif spec.start_date > today + timedelta(days=366):
        errors.add("start_date", "An export starts within a year from today.")


def _check_live(spec: ExportSpec, today: date, errors: _Errors, previous: ExportSpec | None) -> None:
    _refuse_extra(spec, errors, "date_from", "date_to", "every_hours", "start_date")


def _cycle(spec: ExportSpec) -> tuple[object, ...]:
    return spec.frequency, spec.every_hours, spec.start_date


def _refuse_extra(spec: ExportSpec, errors: _Errors, *fields: str) -> None:
    for field in fields:
        if getattr(spec, field) is not None:
            errors.add(field, f"This does not belong to the frequency {spec.frequency}. Leave it out.")


def _too_old(value: date, today: date) -> str:
    oldest = schedule.oldest_day(today)
    return f"{words.day(value)} is more than {schedule.MAX_DAYS} days back. Choose {words.day(oldest)} or later."


def cleaned(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order given, without repeats."""
    return tuple(dict.fromkeys(names))
