"""The verbs of sources: pages and admin call these."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction

from exports_portal.common import audit
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid, Refused
from projects import access
from projects.models import Project, Role
from projects.zones import zone_names
from sources.clevertap import REGIONS
from sources.models import Pull, Source
from sources.planning import PULLS, plan

NAMES = 100
NAME_CHARACTERS = 512
FIRST_DAY = date(2013, 1, 1)  # CleverTap is not older
KEPT_FIELDS = ("account_id", "region", "timezone", "events", "date_from", "date_to")


@transaction.atomic
def create_source(
    *,
    project: Project,
    account_id: str,
    passcode: str,
    region: str,
    timezone: str,
    events: list[str],
    date_from: date | None,
    date_to: date | None,
    by: Actor,
    now: datetime,
) -> Source:
    """Begin to import from an account at CleverTap. date_to None: on and on, day by day. Raises Invalid."""
    access.require(by, project, Role.ADMIN)
    source = Source(project=project, created_at=now, created_by_id=by.id)
    _apply(source, account_id, passcode, region, timezone, events, date_from, date_to, now=now)
    audit.record(action="source.create", by=by, now=now, project_id=project.pk, target=source, after=_shown(source))
    return source


@transaction.atomic
def edit_source(
    *,
    source: Source,
    passcode: str,
    region: str,
    timezone: str,
    events: list[str],
    date_from: date | None,
    date_to: date | None,
    by: Actor,
    now: datetime,
) -> Source:
    """Change a source; an empty passcode stays. A fault is forgotten, and it goes on. Raises Invalid and Refused."""
    access.require(by, source.project, Role.ADMIN)
    source = _locked(source)
    before = _shown(source)
    if timezone != source.timezone and source.pulls.filter(captured__gt=0).exists():
        raise Invalid({"timezone": ["Events were captured with the present time zone. Stop the source to change it."]})
    source.fault, source.last_error, source.failures, source.not_before = "", "", 0, None
    _apply(source, source.account_id, passcode, region, timezone, events, date_from, date_to, now=now)
    audit.record(
        action="source.edit",
        by=by,
        now=now,
        project_id=source.project_id,
        target=source,
        before=before,
        after=_shown(source),
    )
    return source


@transaction.atomic
def stop_source(*, source: Source, by: Actor, now: datetime) -> None:
    """Read nothing more, and forget the passcode. What was captured stays. Harmless when it is stopped already."""
    access.require(by, source.project, Role.ADMIN)
    if Source.objects.filter(pk=source.pk, stopped_at=None).update(stopped_at=now, passcode="", passcode_hint=""):
        audit.record(action="source.stop", by=by, now=now, project_id=source.project_id, target=source)


@transaction.atomic
def retry_source(*, source: Source, by: Actor, now: datetime) -> None:
    """Go on at once. Raises Refused for one that was stopped."""
    access.require(by, source.project, Role.ADMIN)
    going_on = Source.objects.filter(pk=source.pk, stopped_at=None)
    if not going_on.update(fault="", last_error="", failures=0, not_before=None, rung_at=None):
        raise Refused("The source has been stopped. Create a new one to go on.")
    audit.record(action="source.retry", by=by, now=now, project_id=source.project_id, target=source)


@transaction.atomic
def read_again(*, source: Source, by: Actor, now: datetime) -> None:
    """Read all its days once more; only what is new there is captured. Raises Refused for one that was stopped."""
    access.require(by, source.project, Role.ADMIN)
    source = _locked(source)
    source.pulls.exclude(state=Pull.State.WAITING).update(state=Pull.State.WAITING, cursor="", error="")
    audit.record(action="source.read_again", by=by, now=now, project_id=source.project_id, target=source)


def _locked(source: Source) -> Source:
    locked = Source.objects.select_for_update(of=("self",)).select_related("project").defer("passcode")
    found = locked.filter(pk=source.pk, stopped_at=None).first()
    if found is None:
        raise Refused("The source has been stopped. Create a new one to go on.")
    return found


def _apply(
    source: Source,
    account_id: str,
    passcode: str,
    region: str,
    timezone: str,
    events: list[str],
    date_from: date | None,
    date_to: date | None,
    *,
    now: datetime,
) -> None:
    account_id, passcode = account_id.strip(), passcode.strip()
    names = list(dict.fromkeys(name.strip() for name in events if name.strip()))
    errors = {
        "account_id": _account_errors(account_id),
        "passcode": _passcode_errors(passcode, is_needed=source.pk is None),
        "region": [] if region in REGIONS else [f"Choose one of: {', '.join(REGIONS)}."],
        "timezone": [] if timezone in zone_names() else [f"There is no time zone “{timezone}”."],
        "events": _name_errors(names),
    }
    if not errors["timezone"]:
        errors |= _day_errors(date_from, date_to, timezone, len(names), now)
    if found := {name: texts for name, texts in errors.items() if texts}:
        raise Invalid(found)
    assert date_from is not None
    source.account_id, source.region, source.timezone = account_id, region, timezone
    source.events, source.date_from, source.date_to = names, date_from, date_to
    if passcode:
        source.passcode, source.passcode_hint = passcode, passcode[-4:] if len(passcode) >= 16 else ""
    try:
        with transaction.atomic():
            source.save()
    except IntegrityError:
        taken = f"This project imports from the account {account_id} already. Edit that source."
        raise Invalid({"account_id": [taken]}) from None
    plan(source, now=now)


def _account_errors(account_id: str) -> list[str]:
    if not account_id:
        return ["Enter the account ID, which CleverTap shows under Settings > Project."]
    is_fine = len(account_id) <= 64 and account_id.isascii() and account_id.isprintable() and " " not in account_id
    return [] if is_fine else ["An account ID looks like ABC-DEF-GHIJ."]


def _passcode_errors(passcode: str, *, is_needed: bool) -> list[str]:
    if not passcode:
        return ["Enter a passcode of the account."] if is_needed else []
    is_fine = len(passcode) <= 200 and passcode.isascii() and passcode.isprintable()
    return [] if is_fine else ["A passcode is one word of letters, digits and signs."]


def _name_errors(names: list[str]) -> list[str]:
    if not names:
        return ["Enter the events to import, one on each line."]
    if len(names) > NAMES:
        return [f"These are {len(names)} events; {NAMES} is the most of one source."]
    odd = [name for name in names if len(name) > NAME_CHARACTERS or not name.isprintable()]
    return [f"“{odd[0][:40]}” cannot be an event name."] if odd else []


def _day_errors(
    date_from: date | None, date_to: date | None, timezone: str, names: int, now: datetime
) -> dict[str, list[str]]:
    today = now.astimezone(ZoneInfo(timezone)).date()
    if date_from is None:
        return {"date_from": ["Enter the first day."]}
    if not FIRST_DAY <= date_from <= today:
        return {"date_from": [f"The first day must lie between {FIRST_DAY:%d %b %Y} and today."]}
    if date_to is not None and date_to < date_from:
        return {"date_to": ["The last day lies before the first."]}
    days = (min(date_to or today, today) - date_from) // timedelta(days=1) + 1
    if days * names > PULLS:
        return {"date_from": [f"{days:,} days of {names} events are too many. Take fewer days, or several sources."]}
    return {}


def _shown(source: Source) -> dict[str, object]:
    """For the audit log; the passcode as its last characters."""
    values = {name: getattr(source, name) for name in KEPT_FIELDS}
    dates = {name: str(value) if value else None for name, value in values.items() if name.startswith("date_")}
    return {**values, **dates, "passcode": f"••••{source.passcode_hint}"}
