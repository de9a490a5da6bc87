"""Reading the audit log of a project: its filters, pages by keyset, and entries as people read them."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import django_filters
from django.apps import apps
from django.db import connection
from django.db.models import QuerySet

from exports_portal.common import words
from exports_portal.common.filters import DayFilter, FilterForm
from exports_portal.common.models import AuditEntry

FILTERS = ("actor", "action", "at_after", "at_before")
OFFERED = 200  # people, or actions, to choose from
CURSOR = re.compile(r"([0-9]{1,17})-([0-9]{1,18})")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# One look into the index for each value: DISTINCT would read the whole log.
KNOWN = """
WITH RECURSIVE known (value) AS (
    (SELECT {column} FROM common_auditentry WHERE project_id = %(project)s ORDER BY {column} LIMIT 1)
     UNION ALL
    SELECT (SELECT {column} FROM common_auditentry WHERE project_id = %(project)s AND {column} > known.value
             ORDER BY {column} LIMIT 1)
      FROM known WHERE known.value IS NOT NULL)
SELECT value FROM known WHERE value IS NOT NULL LIMIT %(most)s
"""


class AuditFilter(django_filters.FilterSet):
    """Filters the entries of `project` by query parameters, newest first. Days are local and inclusive."""

    actor = django_filters.CharFilter(help_text="who, as entries have it")
    action = django_filters.CharFilter(help_text="what, for example export.stop")
    at_after = DayFilter(method="from_day")
    at_before = DayFilter(method="to_day")

    class Meta:
        model = AuditEntry
        fields: list[str] = []
        form = FilterForm

    def __init__(self, data: Any = None, queryset: Any = None, *, project: Any, **extra: Any) -> None:
        rows = AuditEntry.objects.filter(project_id=project.pk).order_by("-at", "-pk")
        super().__init__(data, rows, **extra)
        self.project = project

    def from_day(self, queryset: QuerySet, _name: str, day: date) -> QuerySet:
        return queryset.filter(at__gte=self._midnight(day))

    def to_day(self, queryset: QuerySet, _name: str, day: date) -> QuerySet:
        return queryset.filter(at__lt=self._midnight(day + timedelta(days=1)))

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time.min, tzinfo=self.project.tz)


def known(project_id: int, column: str) -> list[str]:
    """The values of a column in a project's log, actor or action; the first OFFERED of them in order."""
    with connection.cursor() as cursor:
        cursor.execute(KNOWN.format(column=column), {"project": project_id, "most": OFFERED})
        return [value for (value,) in cursor.fetchall()]


class EntryPage(NamedTuple):
    """`older`: the cursor of the following page; empty when this is the last."""

    entries: list[AuditEntry]
    older: str


def page(rows: QuerySet[AuditEntry], *, cursor: str, size: int) -> EntryPage:
    """`size` entries of the filter's rows that are older than the cursor; of the newest for one that is none."""
    if place := CURSOR.fullmatch(cursor):
        at, pk = EPOCH + int(place[1]) * MICROSECOND, int(place[2])
        rows = rows.filter(at__lte=at).exclude(at=at, pk__gte=pk)
    found = list(rows[: size + 1])
    entries = found[:size]
    return EntryPage(entries, _cursor(entries[-1]) if len(found) > size else "")


def _cursor(entry: AuditEntry) -> str:
    return f"{(entry.at - EPOCH) // MICROSECOND}-{entry.pk}"


class Change(NamedTuple):
    """One value. `old` is None where nothing was before, as when something is made."""

    label: str
    old: str | None
    new: str


@dataclass(frozen=True)
class Line:
    """An entry as people read it."""

    entry: AuditEntry

    @property
    def act(self) -> str:
        """ "Export: run now" """
        return act_in_words(self.entry.action)

    @property
    def target(self) -> str:
        """ "event name 7" """
        nouns = {model._meta.model_name: str(model._meta.verbose_name) for model in apps.get_models()}
        return f"{nouns.get(self.entry.target_type, self.entry.target_type)} {self.entry.target_id}"

    @property
    def changes(self) -> list[Change]:
        """What it says of each field, but for those that stayed as they were."""
        before, after = self.entry.before, self.entry.after
        names = [name for name in {**before, **after} if name not in before or before[name] != after.get(name)]
        return [
            Change(
                words.label(name), words.value(before[name]) if name in before else None, words.value(after.get(name))
            )
            for name in names
        ]


def act_in_words(action: str) -> str:
    """ "Export: run now" of export.run_now."""
    noun, _, verb = action.partition(".")
    return f"{words.label(noun)}: {verb.replace('_', ' ')}"
