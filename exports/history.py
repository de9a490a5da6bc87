"""The History of an export: who did what to it and to its runs, and what its integration met with meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Q, QuerySet

from exports.models import EventChoice, Export, Frequency
from exports_portal.common import words
from exports_portal.common.models import AuditEntry

SHOWN = 100
ACTS = {
    "create": "Created",
    "edit": "Edited",
    "start": "Started",
    "wait": "Waiting for the next run",
    "finish": "Done",
    "stop": "Stopped",
    "retry": "Retried",
    "run_now": "Run now",
    "resend": "Rejected records sent again",
    "continue": "Continued from where another stopped",
    "setup_fault": "Setup fault: nothing is sent",
    "mended": "Setup fault is over, sending goes on",
}


@dataclass(frozen=True)
class Change:
    """One line: who did what, why, and which fields went from what to what."""

    at: datetime
    actor: str
    act: str
    why: str
    fields: list[tuple[str, str, str]]


def history(export: Export, *, until: datetime | None) -> list[Change]:
    """The last SHOWN changes, newest first. `until`: its end, after which faults are no concern of it; None: active."""
    return [_change(entry, export) for entry in entries(export, until=until)[:SHOWN]]


def entries(export: Export, *, until: datetime | None = None) -> QuerySet[AuditEntry]:
    """The same as the audit log has it."""
    runs = list(export.runs.order_by("-sequence").values_list("pk", flat=True)[:SHOWN])
    faults = Q(target_type="integration", target_id=export.integration_id, at__gte=export.created_at)
    faults &= Q(action__in=["integration.setup_fault", "integration.mended"])
    if until is not None:
        faults &= Q(at__lte=until)
    about = Q(target_type="export", target_id=export.pk) | Q(target_type="run", target_id__in=runs) | faults
    return AuditEntry.objects.filter(about, project_id=export.project_id).order_by("-id")


def who_changed(export: Export, *, now: datetime) -> str:
    """ "asha@example.com changed this export 2 minutes ago"; it was before, even if their request began after ours."""
    edits = AuditEntry.objects.filter(target_type="export", target_id=export.pk, action="export.edit")
    last = edits.order_by("-id").first()
    return (
        f"{last.actor} changed this export {words.relative(last.at, now=max(now, last.at))}"
        if last
        else "Somebody changed this export"
    )


def _change(entry: AuditEntry, export: Export) -> Change:
    noun, _, verb = entry.action.partition(".")
    act = ACTS.get(verb, verb.replace("_", " ").capitalize())
    why = "" if noun == "run" else entry.after.get("reason") or entry.after.get("message") or ""
    fields = []
    if verb == "edit":
        shown = _shower(export)
        fields = [
            (words.label(name), shown(name, entry.before.get(name)), shown(name, value))
            for name, value in entry.after.items()
        ]
    return Change(entry.at, entry.actor, f"Run {act.lower()}" if noun == "run" else act, why, fields)


def _shower(export: Export) -> Callable[[str, Any], str]:
    """Says the value of a field as people know it."""
    labels: dict[str, dict[Any, str]] = {"frequency": dict(Frequency.choices), "events": dict(EventChoice.choices)}

    def shown(name: str, value: Any) -> str:
        if value and name.endswith("_date"):
            return words.day(date.fromisoformat(value))
        if name == "integration_id" and value:
            labels[name] = labels.get(name) or dict(export.project.integrations.values_list("pk", "nickname"))
        choice = labels.get(name, {}).get(value) if isinstance(value, str | int) else None
        return words.value(value if choice is None else choice)

    return shown
