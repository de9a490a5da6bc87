"""The verbs of sources: pages and REST call these.

Each raises PermissionDenied unless `by` is an admin of the project.
"""

from dataclasses import asdict, replace
from datetime import datetime

from django.db import IntegrityError, transaction

from exports_portal.common import audit
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid, Refused
from projects import access
from projects.models import Project, Role
from sources.models import Pull, Source
from sources.planning import plan, wanted
from sources.spec import KEPT, SourceSpec, spec_of

ZONE_IS_FIXED = (
    "Events were captured with the present time zone, and they keep their times. For days that were not read yet, "
    "stop this source and create one with the other zone."
)


@transaction.atomic
def create_source(*, project: Project, spec: SourceSpec, by: Actor, now: datetime) -> Source:
    """Begin to import from an account at CleverTap. Raises Invalid."""
    access.require(by, project, Role.ADMIN)
    source = Source(project=project, created_at=now, created_by_id=by.id)
    _apply(source, spec, now=now)
    audit.record(action="source.create", by=by, now=now, project_id=project.pk, target=source, after=_shown(source))
    return source


@transaction.atomic
def edit_source(*, source: Source, spec: SourceSpec, by: Actor, now: datetime) -> Source:
    """Change all but the account. A fault is forgotten, and it goes on. Raises Invalid and Refused.

    The turn under way is over: what it still holds in memory is the old zone, passcode and events.
    """
    access.require(by, source.project, Role.ADMIN)
    source = _locked(source)
    before = _shown(source)
    if spec.timezone != source.timezone and source.pulls.filter(captured__gt=0).exists():
        raise Invalid({"timezone": [ZONE_IS_FIXED]})
    source.fault, source.last_error, source.failures, source.not_before = "", "", 0, None
    source.fence, source.lease_until = source.fence + 1, None
    _apply(source, replace(spec, account_id=source.account_id), now=now)
    after = _shown(source)
    audit.record(
        action="source.edit", by=by, now=now, project_id=source.project_id, target=source, before=before, after=after
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
    """Read all wanted days once more; only what is new there is captured. Raises Refused for one that was stopped."""
    access.require(by, source.project, Role.ADMIN)
    source = _locked(source)
    over = wanted(source, now=now).exclude(state=Pull.State.WAITING)
    over.update(state=Pull.State.WAITING, cursor="", error="")
    audit.record(action="source.read_again", by=by, now=now, project_id=source.project_id, target=source)


def _locked(source: Source) -> Source:
    locked = Source.objects.select_for_update(of=("self",)).select_related("project")
    found = locked.filter(pk=source.pk, stopped_at=None).first()
    if found is None:
        raise Refused("The source has been stopped. Create a new one to go on.")
    return found


def _apply(source: Source, spec: SourceSpec, *, now: datetime) -> None:
    spec = spec.cleaned()
    spec.check(is_new=source.pk is None, now=now)
    for name in KEPT:
        setattr(source, name, getattr(spec, name))
    if spec.passcode:
        source.passcode, source.passcode_hint = spec.passcode, spec.passcode[-4:] if len(spec.passcode) >= 16 else ""
    try:
        with transaction.atomic():
            source.save()
    except IntegrityError:
        taken = f"This project imports from the account {spec.account_id} already. Edit that source."
        raise Invalid({"account_id": [taken]}) from None
    plan(source, now=now)


def _shown(source: Source) -> dict[str, object]:
    """For the audit log; the passcode as its last characters."""
    spec = spec_of(source)
    days = {name: str(day) if (day := getattr(spec, name)) else None for name in ("date_from", "date_to")}
    return {**asdict(spec), **days, "passcode": f"••••{source.passcode_hint}"}
