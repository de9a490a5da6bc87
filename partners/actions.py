"""The verbs of integrations: pages, REST and admin all call these. What people ask for needs the role admin."""

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Lower

from exports_portal.common import audit, bells
from exports_portal.common.audit import PORTAL, Actor
from exports_portal.common.encrypted import SecretUnreadable
from exports_portal.common.errors import Invalid, Refused
from partners import tested as tested_values
from partners.contract import Adapter, Outcome, Secrets, Step, TestReport
from partners.models import NICKNAME_CHARACTERS, Integration
from partners.registry import all_adapters
from projects import access
from projects.models import Project, Role

log = structlog.get_logger("partners")

PROBE_EVERY = timedelta(minutes=1)
LONGEST_PROBE = timedelta(minutes=10)
ASK_EVERY = timedelta(seconds=1)
ACTIVE_EXPORTS = ("PENDING", "RUNNING")  # exports.models.Status lies above this app
UNREADABLE = "The saved key cannot be read any more, as the portal's encryption key has changed. Enter it anew."


@transaction.atomic
def create_integration(
    *,
    project: Project,
    partner: str,
    nickname: str,
    values: Mapping[str, str],
    by: Actor,
    now: datetime,
    tested: str = "",
) -> Integration:
    """Integrate a partner. `values` are the adapter's fields by name; missing ones take their default.

    tested: the proof of a test of these values, whose result then stands on the card (partners.tested).
    """
    access.require(by, project, Role.ADMIN)
    adapter = _adapter(partner)
    values, result = _with_defaults(adapter, values), tested_values.proven(tested, values)
    nickname = " ".join(nickname.split())
    _check(adapter, values, _nickname_errors(project, nickname, except_for=None))
    integration = Integration(project=project, partner=partner, created_at=now, created_by_id=by.id)
    if result is not None:
        integration.tested_at, integration.test_ok, integration.test_message = result
    _apply(integration, adapter, nickname, values, now=now)
    audit.record(
        action="integration.create",
        by=by,
        now=now,
        project_id=project.pk,
        target=integration,
        after={"nickname": nickname, "key": f"••••{integration.key_hint}", **integration.settings},
    )
    return integration


@transaction.atomic
def edit_integration(
    *, integration: Integration, nickname: str, values: Mapping[str, str], by: Actor, now: datetime
) -> Integration:
    """Change an integration; a secret left empty stays. Runs under way keep their settings, the key changes at once.

    A setup fault is forgotten: sending goes on where it was, with what has been mended.
    """
    access.require(by, integration.project, Role.ADMIN)
    integration = _locked(integration)
    if integration.disconnected_at is not None:
        raise Invalid({"": [f"“{integration.nickname}” has been disconnected meanwhile. Integrate it anew."]})
    adapter = integration.adapter
    saved = _readable_secrets(integration)
    kept = {**integration.settings, **saved}
    values = {spec.name: values.get(spec.name) or kept.get(spec.name, spec.default) for spec in adapter.fields}
    nickname = " ".join(nickname.split())
    _check(adapter, values, _nickname_errors(integration.project, nickname, except_for=integration), lost=not saved)
    before = {"nickname": integration.nickname, "key": f"••••{integration.key_hint}", **integration.settings}
    if any(values[spec.name] != kept.get(spec.name) for spec in adapter.fields if spec.secret or spec.connects):
        integration.tested_at, integration.test_ok, integration.test_message = None, None, ""
    _apply(integration, adapter, nickname, values, now=now)
    after = {"nickname": nickname, "key": f"••••{integration.key_hint}", **integration.settings}
    audit.record(
        action="integration.edit",
        by=by,
        now=now,
        project_id=integration.project_id,
        target=integration,
        before=before,
        after=after,
    )
    resume(integration=integration)
    transaction.on_commit(bells.ring_tick)
    return integration


@transaction.atomic
def disconnect(*, integration: Integration, by: Actor, now: datetime) -> None:
    """Forget the secrets and hide the integration; harmless the second time. Refused while its exports are active."""
    access.require(by, integration.project, Role.ADMIN)
    integration = _locked(integration)
    if integration.disconnected_at is not None:
        return
    if needed := why_needed(integration):
        raise Refused(needed)
    integration.disconnected_at = now
    integration.secrets = {}
    integration.save(update_fields=["disconnected_at", "secrets"])
    audit.record(action="integration.disconnect", by=by, now=now, project_id=integration.project_id, target=integration)


def why_needed(integration: Integration) -> str:
    """Why an integration cannot be disconnected, and what to do; empty when it can."""
    sending = _sending_through(integration)
    active = sending.filter(status__in=ACTIVE_EXPORTS).count()
    if active:
        word = "export uses" if active == 1 else "exports use"
        return f"{active} active {word} “{integration.nickname}”. Stop them first, then disconnect."
    if sending.exists():
        what = f"Rejected records are being sent again through “{integration.nickname}”."
        return f"{what} Wait until they are, or stop sending them on the export's page."
    return ""


def test_values(
    *,
    project: Project,
    partner: str,
    values: Mapping[str, str],
    by: Actor,
    kept: Integration | None = None,  # noqa: PT028 this is no test, whatever its name begins with
) -> TestReport:
    """Test connection for what stands in a form that has not been saved. Records nothing anywhere.

    A secret left empty is the one of `kept`, the integration being edited.
    """
    access.require(by, project, Role.ADMIN)
    adapter = _adapter(partner)
    saved = _readable_secrets(kept) if kept is not None else {}
    values = _with_defaults(adapter, {**values, **{name: values.get(name) or saved[name] for name in saved}})
    _check(adapter, values, {}, lost=kept is not None and not saved)
    return adapter.test_connection(*_split(adapter, values))


def test_integration(*, integration: Integration, by: Actor, now: datetime) -> TestReport:
    """Test connection for a saved integration; the result stands on its card. Success ends a setup fault.

    It says nothing of an integration that has been edited while the partner was asked.
    """
    access.require(by, integration.project, Role.ADMIN)
    try:
        report = integration.adapter.test_connection(integration.settings, integration.secrets)
    except SecretUnreadable:
        report = TestReport(False, (Step("Key", "failed", UNREADABLE),))
    with transaction.atomic():  # only now: the partner may take seconds to answer
        as_tested = Integration.objects.filter(pk=integration.pk, updated_at=integration.updated_at)
        is_current = as_tested.update(tested_at=now, test_ok=report.ok, test_message=report.message)
        audit.record(
            action="integration.test",
            by=by,
            now=now,
            project_id=integration.project_id,
            target=integration,
            after={"ok": report.ok},
        )
        if report.ok and is_current:
            resume(integration=integration)
    return report


@transaction.atomic
def record_setup_fault(*, integration: Integration, message: str, now: datetime, again: timedelta | None) -> None:
    """Stop sending for this integration until it is mended; its exports say so. Keeps everything.

    again: after so long the portal itself looks whether it is mended at the partner's side; None: only a person can.
    After twice as long each time, up to LONGEST_PROBE, while all that it finds is an empty list that gets through.

    `integration` is the row that was sent with: if it has been edited since, the fault may be mended, and the next
    request tells.
    """
    as_sent = Integration.objects.filter(pk=integration.pk, updated_at=integration.updated_at)
    # integrations are always locked before exports
    recoveries = as_sent.select_for_update(no_key=True).values_list("recoveries", flat=True).first()
    if recoveries is None:
        return
    _sending_through(integration).update(
        needs_attention=True, last_error=message, failing_since=Coalesce("failing_since", Value(now))
    )
    if as_sent.filter(setup_fault="").update(
        setup_fault=message, setup_fault_at=now, probe_at=None if again is None else now + _wait(again, recoveries)
    ):
        log.error("integration.setup_fault", project=integration.project_id, integration=integration.pk, why=message)
        audit.record(
            action="integration.setup_fault",
            by=PORTAL,
            now=now,
            project_id=integration.project_id,
            target=integration,
            after={"message": message},
        )


def _wait(again: timedelta, recoveries: int) -> timedelta:
    return max(again, min(LONGEST_PROBE, again * 2 ** min(recoveries, 10)))


def probe(*, integration: Integration, now: datetime) -> bool:
    """Ask the partner with an empty list whether a setup fault is over; if so, sending goes on. Returns whether."""
    try:
        secrets = integration.secrets
    except SecretUnreadable:
        return False  # until its encryption key is back, or another key is entered
    with closing(integration.adapter.sender(integration.settings, secrets)) as sender:
        verdict = sender.probe()
    if verdict.outcome is not Outcome.ACCEPTED:
        return False
    with transaction.atomic():
        as_asked = Integration.objects.filter(pk=integration.pk, updated_at=integration.updated_at)
        if not as_asked.exclude(setup_fault="").select_for_update(no_key=True).values_list("pk"):
            return False
        resume(integration=integration, by_itself=True)
        audit.record(
            action="integration.mended", by=PORTAL, now=now, project_id=integration.project_id, target=integration
        )
        transaction.on_commit(bells.ring_tick)
    log.info("integration.mended", project=integration.project_id, integration=integration.pk)
    return True


def due_probes(*, now: datetime) -> list[int]:
    """Integrations whose setup fault is to be looked at now, each claimed for PROBE_EVERY."""
    due = Integration.objects.exclude(setup_fault="").filter(disconnected_at=None, probe_at__lte=now)
    return [pk for pk in due.values_list("pk", flat=True) if due.filter(pk=pk).update(probe_at=now + PROBE_EVERY)]


def may_ask(*, integration: Integration, now: datetime) -> bool:
    """Whether a run with nothing to send may ask about the key now: one in ASK_EVERY, as they come in thousands."""
    long_ago = Q(asked_at=None) | Q(asked_at__lte=now - ASK_EVERY) | Q(asked_at__gt=now)  # the clock stepped back
    return bool(Integration.objects.filter(long_ago, pk=integration.pk).update(asked_at=now))


def pause(*, integration: Integration, until: datetime) -> None:
    """The partner asked us to leave the whole integration alone until then. A longer pause stays."""
    shorter = Q(paused_until=None) | Q(paused_until__lt=until)
    Integration.objects.filter(shorter, pk=integration.pk).update(paused_until=until)


def got_through(*, integration: Integration) -> None:
    """The partner judged records: a setup fault that was over by itself is really over."""
    Integration.objects.filter(pk=integration.pk, recoveries__gt=0).update(recoveries=0)


def resume(*, integration: Integration, by_itself: bool = False) -> None:
    """Forget a setup fault and a pause. The days without an accepted request begin anew.

    by_itself: nobody asked for it. Then they go on for exports that are about to send: what is answered tells.
    """
    recoveries = F("recoveries") + 1 if by_itself else 0
    Integration.objects.filter(pk=integration.pk).update(
        setup_fault="", setup_fault_at=None, paused_until=None, probe_at=None, asked_at=None, recoveries=recoveries
    )
    faulty = _sending_through(integration).filter(needs_attention=True)
    (faulty.exclude(pk__in=_about_to_send(integration)) if by_itself else faulty).update(failing_since=None)
    faulty.update(needs_attention=False, last_error="")


def _sending_through(integration: Integration) -> Any:
    """Its active exports, and others of which a run of it is not over or has rejected records to send again.

    Each by an index of its own: with OR, all runs that the integration ever had would be read under its lock.
    """
    own = integration.exports.filter(status__in=ACTIVE_EXPORTS).values("pk")
    running = integration.runs.filter(status__in=ACTIVE_EXPORTS).values("export")
    to_resend = integration.runs.filter(shards__resend_at__isnull=False).values("export")
    return integration.exports.model.objects.filter(pk__in=own.union(running, to_resend))


def _about_to_send(integration: Integration) -> Any:
    """Exports of its project with a run that has something to send, be it through this integration or another one."""
    runs = integration.runs.model.objects.filter(export__project=integration.project_id).order_by()
    waiting = runs.filter(shards__open=True, shards__idle=False), runs.filter(shards__resend_at__isnull=False)
    # By an index each: joined by OR they would read every run there ever was.
    return waiting[0].values("export").union(waiting[1].values("export"))


def _locked(integration: Integration) -> Integration:
    rows = Integration.objects.select_for_update(of=("self",), no_key=True).select_related("project").defer("secrets")
    return rows.get(pk=integration.pk)


def _readable_secrets(integration: Integration) -> Secrets:
    """{} when the encryption key is lost: then a new secret must be entered, and can be."""
    try:
        return integration.secrets
    except SecretUnreadable:
        return {}


def _adapter(partner: str) -> Adapter:
    adapters = all_adapters()
    if partner not in adapters:
        raise Invalid({"partner": [f"Choose one of: {', '.join(adapters)}."]})
    return adapters[partner]


def _with_defaults(adapter: Adapter, values: Mapping[str, str]) -> dict[str, str]:
    return {spec.name: values.get(spec.name) or spec.default for spec in adapter.fields}


def _check(adapter: Adapter, values: Mapping[str, str], errors: dict[str, list[str]], *, lost: bool = False) -> None:
    """lost: there are saved secrets, but they cannot be read any more."""
    for spec in adapter.fields:
        message = spec.check(values[spec.name])
        if lost and spec.secret and not values[spec.name]:
            message = UNREADABLE
        if message:
            errors.setdefault(spec.name, []).append(message)
    if errors:
        raise Invalid(errors)


def _nickname_errors(project: Project, nickname: str, *, except_for: Integration | None) -> dict[str, list[str]]:
    if not nickname:
        return {"nickname": ["Enter a Partner Nickname."]}
    if len(nickname) > NICKNAME_CHARACTERS:
        return {"nickname": [f"The nickname has {len(nickname)} characters; {NICKNAME_CHARACTERS} is the most."]}
    taken = project.integrations.connected().alias(lower=Lower("nickname")).filter(lower=nickname.lower())
    if except_for is not None:
        taken = taken.exclude(pk=except_for.pk)
    return {"nickname": [_taken(nickname)]} if taken.exists() else {}


def _split(adapter: Adapter, values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(settings, secrets)"""
    secret = {spec.name for spec in adapter.fields if spec.secret}
    settings = {name: value for name, value in values.items() if name not in secret}
    return settings, {name: value for name, value in values.items() if name in secret}


def _hint(key: str) -> str:
    """The last characters of the key, four at most and never more than a quarter of it: a short key stays a secret."""
    return key[-min(4, len(key) // 4) :] if len(key) >= 4 else ""


def _apply(
    integration: Integration, adapter: Adapter, nickname: str, values: Mapping[str, str], *, now: datetime
) -> None:
    integration.nickname = nickname
    integration.settings, integration.secrets = _split(adapter, values)
    integration.key_hint = _hint(next(iter(integration.secrets.values()), ""))
    integration.updated_at = now
    try:
        with transaction.atomic():
            integration.save()
    except IntegrityError:  # somebody took the nickname since it was checked
        raise Invalid({"nickname": [_taken(nickname)]}) from None


def _taken(nickname: str) -> str:
    return f"“{nickname}” is taken in this project. Choose another nickname."
