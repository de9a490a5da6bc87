"""The verbs of exports: pages, REST and admin all call these.

Each raises PermissionDenied unless `by` is a marketer or an admin of the project, Invalid (fields of ExportSpec) or
Refused, and writes its audit entry in its own transaction.
"""

from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from events import positions
from exports import alerts, lifecycle, runs, schedule
from exports.history import who_changed
from exports.models import Export, Frequency, Held, Rejected, Run, Shard, Status
from exports.spec import ExportSpec, check, cleaned, spec_of
from exports_portal.common import audit, bells
from exports_portal.common.audit import PORTAL, Actor
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.log_context import request_id
from partners import actions as partner_actions
from partners.models import Integration
from projects import access
from projects.models import Project, User

GIVE_UP = timedelta(days=3)  # without one accepted request
LONGEST_CYCLE = timedelta(hours=25)  # a day on which the clock is put back


class Stale(Refused):
    """The export is not any more as the editor saw it."""


@transaction.atomic
def create_export(
    *, project: Project, spec: ExportSpec, by: Actor, now: datetime, submission: UUID | None = None
) -> Export:
    """Create an export; it is PENDING until a worker takes up its first run.

    `submission`: of the form that was sent. Sent twice with the same spec, it leads to the export that it made.
    """
    access.require(by, project, *access.EDITORS)
    spec = _tidy(spec)
    hold_integrations(spec.integration_id)
    if made := made_by(submission, project):
        if spec_of(made) == spec:
            return made
        submission = None  # somebody went back and changed the form
    integration = check(spec, project=project, now=now)
    export = Export(
        project=project,
        created_by=user_of(by),
        created_at=now,
        updated_at=now,
        exported_on=now,
        captured_from=now,
        next_tx_id=0,
        submission=submission,
    )
    export.apply(spec, integration)
    share_fault(export, now=now)
    if export.frequency == Frequency.RECURRING:
        # What is stored below the horizon was received before now; a later start need not read it at all.
        export.next_tx_id = positions.horizon()
        _begin_cycle(export, now=now)
    elif export.frequency == Frequency.LIVE:
        export.next_tx_id = positions.horizon()
    export.save()
    audit.record(action="export.create", by=by, now=now, project_id=project.pk, target=export, after=_plain(spec))
    if export.frequency == Frequency.ONE_TIME:
        runs.create_one_time(export, now=now)
    elif export.frequency == Frequency.LIVE:
        runs.create_windows([export], now=now)
    transaction.on_commit(bells.ring_tick)
    return export


def made_by(submission: UUID | None, project: Project) -> Export | None:
    """The export that this form has made already."""
    made = project.exports.select_related("integration").defer("integration__secrets")
    return made.filter(submission=submission).first() if submission else None


@transaction.atomic
def edit_export(*, export: Export, spec: ExportSpec, version: int | None, by: Actor, now: datetime) -> Export:
    """Change a recurring or live export; the run under way keeps its settings. `version` is what the editor saw."""
    access.require(by, export.project, *access.EDITORS)
    hold_integrations(spec.integration_id, export.integration_id)
    export = locked(export)
    if why_not := why_not_editable(export):
        raise Refused(why_not)
    if version is not None and version != export.version:
        raise Stale(f"{who_changed(export, now=now)} while you were editing it. Reload it, and make your change again.")
    before, spec = spec_of(export), _tidy(spec)
    if spec.type != before.type:
        message = "You cannot change the export from User Profile to Event and vice-versa. Create a new export."
        raise Invalid({"type": [message]})
    if spec.frequency == Frequency.ONE_TIME:
        raise Refused(f"A {before.frequency} export cannot become a one-time export. Create a new export.")
    integration = check(spec, project=export.project, now=now, previous=before)
    former = export.integration
    export.apply(spec, integration)
    if former.pk != integration.pk:
        _leave(former, export, now=now)
    if export.frequency == Frequency.LIVE:
        _go_live(export, now=now)
    elif (before.every_hours, before.start_date) != (spec.every_hours, spec.start_date):
        _restart_cycle(export, now=now)
    export.version += 1
    export.updated_at = now
    export.save()
    # An endless run is woken, to be ended: out of its rest, and out of a wait.
    Shard.objects.filter(run__export=export, run__until_tx_id=None, open=True).update(
        idle=False, rung_at=None, not_before=None
    )
    transaction.on_commit(bells.ring_tick)
    old, new = _plain(before), _plain(spec)
    changed = [name for name in new if old[name] != new[name]]
    audit.record(
        action="export.edit",
        by=by,
        now=now,
        project_id=export.project_id,
        target=export,
        before={name: old[name] for name in changed},
        after={name: new[name] for name in changed},
    )
    return export


def stop_export(*, export: Export, by: Actor, now: datetime, user: User | None = None) -> Export:
    """Stop an export for good; harmless when it is STOPPED already.

    Of a DONE one it stops the rejected records that wait to be sent again; refused when none do.
    """
    access.require(by, export.project, *access.EDITORS)
    waited = export.sends_again
    stopped = lifecycle.stop(export, by=by, now=now, user=user)
    export.refresh_from_db()
    if not stopped and export.status == Status.DONE and not waited:
        raise Refused("This export is DONE: everything has been sent, so there is nothing to stop.")
    return export


def retry_export(*, export: Export, by: Actor, now: datetime) -> Export:
    """Retry now: forget every wait of this export, and the setup fault of the integrations that it sends through."""
    access.require(by, export.project, *access.EDITORS)
    with transaction.atomic():
        integration_ids = {export.integration_id, *export.runs.active().values_list("integration_id", flat=True)}
        hold_integrations(*integration_ids)
        export = locked(export)
        if not export.is_active:
            raise Refused(f"This export is {export.status}. Only one that is PENDING or RUNNING can be retried.")
        for integration in Integration.objects.filter(pk__in=integration_ids).defer("secrets"):
            partner_actions.resume(integration=integration)
        Export.objects.filter(pk=export.pk).update(needs_attention=False)
        export.runs.active().update(request_id=request_id())
        audit.record(action="export.retry", by=by, now=now, project_id=export.project_id, target=export)
    _release(export, now=now)
    bells.ring_tick()
    export.refresh_from_db()
    return export


def _release(export: Export, *, now: datetime) -> None:
    """Records that are held, or wait to be sent again, may be tried at once."""
    _end_waits(Held.objects.filter(export=export), "not_before", now=now)
    _end_waits(Rejected.objects.filter(run__export=export), "resend_at", now=now)
    # Last, as a worker that finds no record due lets its shard wait again.
    shards = Shard.objects.filter(run__export=export)
    shards.filter(resend_at__gt=now).update(resend_at=now)
    shards.filter(Q(open=True) | Q(resend_at__isnull=False)).update(not_before=None, rung_at=None, idle=False)


def _end_waits(rows: QuerySet[Any], until: str, *, now: datetime) -> None:
    """In small steps, as a write holds up the horizon."""
    waiting = rows.filter(**{f"{until}__gt": now}).order_by("pk").values_list("pk", flat=True)
    while some := list(waiting[: lifecycle.AT_ONCE]):
        rows.model._default_manager.filter(pk__in=some).update(**{until: now})


@transaction.atomic
def run_now(*, export: Export, by: Actor, now: datetime) -> Run:
    """A run at once for what was captured since the last one; the cycle goes on as before. Recurring only."""
    access.require(by, export.project, *access.EDITORS)
    export = locked(export)
    if export.frequency != Frequency.RECURRING:
        raise Refused("Only recurring exports can be run now.")
    if not export.is_active:
        raise Refused(f"This export is {export.status}. Only one that is PENDING or RUNNING can be run now.")
    if not _has_begun(export, now=now):
        raise Refused(f"This export starts on {export.start_date:%-d %b %Y}. Nothing is captured for it before that.")
    if export.runs.active().filter(reading=True).exists():
        raise Refused("A run of this export is being read right now. Try again when it is done.")
    (run,) = runs.create_windows([export], now=now)
    audit.record(
        action="export.run_now", by=by, now=now, project_id=export.project_id, target=export, after={"run": run.pk}
    )
    transaction.on_commit(bells.ring_tick)
    return run


def stop_failing(*, now: datetime) -> None:
    """Stop the exports that the partner has accepted nothing of for GIVE_UP; what they would send stays in the log."""
    failing = Export.objects.failing_until(now - GIVE_UP).select_related("integration")
    for export in failing.defer("integration__secrets"):
        partner = export.integration.adapter.label
        what = export.last_error.partition(". ")[0]  # not that anything waits: from now on nothing does
        reason = f"{partner} accepted no request for {GIVE_UP.days} days. Last: {what.rstrip('.')}."
        with transaction.atomic():
            if lifecycle.stop(export, by=PORTAL, now=now, reason=reason):
                alerts.stopped(export, reason=reason, now=now)


def follow_zones(*, now: datetime) -> None:
    """Reckon the boundaries of exports anew whose project has another time zone now. Windows lose or repeat nothing."""
    for project in Project.objects.filter(zone_changed=True):
        with transaction.atomic():
            waiting = project.exports.active().filter(next_run_at__gt=now)
            for export in waiting.select_for_update(of=("self",), no_key=True):
                _restart_cycle(export, now=now)
                export.save(update_fields=["captured_from", "next_run_at", "next_tx_id"])
            Project.objects.filter(pk=project.pk, timezone=project.timezone).update(zone_changed=False)


def follow_clock(*, now: datetime) -> None:
    """Reckon boundaries anew that lie further ahead than any cycle's next one: the clock was ahead when they were set.

    Cycles that begin on a later day have their first boundary further ahead and are left alone.
    """
    begun = Q(start_date=None) | Q(start_date__lte=now.date())
    ahead = Export.objects.active().filter(begun, next_run_at__gt=now + LONGEST_CYCLE).select_related("project")
    for export in ahead:
        promised = export.next_run_at
        _restart_cycle(export, now=now)
        if export.next_run_at != promised:
            Export.objects.filter(pk=export.pk, next_run_at=promised).update(next_run_at=export.next_run_at)


def share_fault(export: Export, *, now: datetime) -> None:
    """An export that comes to an integration with a setup fault waits like the others there, and says so."""
    if fault := export.integration.setup_fault:
        export.needs_attention, export.last_error = True, fault
        export.failing_since = export.failing_since or now


def _leave(former: Integration, export: Export, *, now: datetime) -> None:
    """An export goes to another integration: what stood in its way stays behind, unless a run under way does, too.

    A live run that can send nothing any more comes along, or it would never end and make room for the next one.
    """
    if former.setup_fault:
        for run in export.runs.active().filter(until_tx_id=None):
            run.integration, run.settings = export.integration, runs.frozen_settings(export, sent_before=run)
            run.save(update_fields=["integration", "settings"])
    if not export.runs.active().filter(integration=former).exists():
        export.needs_attention, export.last_error, export.failing_since = False, "", None
    share_fault(export, now=now)


def _begin_cycle(export: Export, *, now: datetime) -> None:
    assert export.start_date is not None
    assert export.every_hours is not None
    tz = export.project.tz
    export.captured_from = schedule.local_instant(export.start_date, 0, tz)
    export.next_run_at = schedule.first_run(export.start_date, export.every_hours, tz, now=now)
    if export.captured_from <= now:
        export.next_tx_id = 0


def _has_begun(export: Export, *, now: datetime) -> bool:
    """Whether anything may have been captured for it."""
    return export.captured_from <= now or export.runs.exists()


def _go_live(export: Export, *, now: datetime) -> None:
    """The run under way ends at its cursor, and the next one has the new settings."""
    if not _has_begun(export, now=now):  # it was to start on a later day: now it starts at once
        export.captured_from, export.next_tx_id = now, positions.horizon()
    export.next_run_at = now


def _restart_cycle(export: Export, *, now: datetime) -> None:
    """The first boundary of a changed cycle is 12:00 a.m. of its start, or the next one when that has passed."""
    if export.frequency == Frequency.RECURRING and not _has_begun(export, now=now):
        _begin_cycle(export, now=now)
    else:
        export.next_run_at = runs.next_run_at(export, after=now)


def why_not_editable(export: Export) -> str:
    """The seed's Points to Remember, for the export at hand; empty when it can be edited."""
    if export.frequency == Frequency.ONE_TIME:
        return "You cannot edit a One time export. Create a new export instead."
    if not export.is_active:
        return f"You cannot modify exports marked as {export.status}. Create a new export instead."
    return ""


def hold_integrations(*integration_ids: int | None) -> None:
    """Nobody disconnects or edits them before this transaction ends. Integrations are always locked before exports."""
    held = Integration.objects.select_for_update(no_key=True).filter(pk__in={key or 0 for key in integration_ids})
    list(held.order_by("pk").values_list("pk"))


def locked(export: Export) -> Export:
    rows = Export.objects.select_for_update(of=("self",), no_key=True).select_related("integration", "project")
    return rows.defer("integration__secrets").get(pk=export.pk)


def _tidy(spec: ExportSpec) -> ExportSpec:
    if spec.of_profiles and spec.frequency == Frequency.ONE_TIME:
        spec = replace(spec, date_from=None, date_to=None)  # all people once, whatever the days
    return replace(
        spec,
        name=spec.name.strip(),
        selected_events=cleaned(spec.selected_events),
        excluded_properties=cleaned(spec.excluded_properties),
    )


def _plain(spec: ExportSpec) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in asdict(spec).items()}


def user_of(by: Actor) -> User | None:
    return User.objects.filter(pk=by.id).first() if by.id else None
