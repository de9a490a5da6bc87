"""Skipped records: those that could not be sent at all, with what the event log knows of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from events import store
from exports import runs
from exports.models import Export, Skipped
from exports.preview import SKIP_REASONS

REASONS = """
SELECT reason, sum(count::bigint)::bigint
  FROM exports_shard, jsonb_each_text(skip_reasons) AS counted (reason, count)
 WHERE run_id = ANY (ARRAY (SELECT id FROM exports_run WHERE export_id = %s))
 GROUP BY reason ORDER BY 2 DESC, reason
"""


@dataclass(frozen=True)
class SkippedLine:
    """One skipped record. event, time and person are None when the log has it no more."""

    id: int
    run: int
    reason: str
    message: str
    event: str | None = None
    time: datetime | None = None
    person: str | None = None
    person_id: int | None = None


def lines(rows: Sequence[Skipped], *, export: Export) -> list[SkippedLine]:
    """The rows, each with its `run`, as people see them; the log is asked once."""
    if not rows:
        return []
    log = runs.log_of(rows[0].run)  # all runs of an export read the same one
    found = store.read_by_ids(export.project_id, [row.record_id for row in rows], log)
    return [_line(row, found.get(row.record_id)) for row in rows]


def reasons(export: Export) -> list[tuple[str, int]]:
    """Each reason and how many records of all runs were skipped for it, most frequent first; runs may be thousands."""
    with connection.cursor() as cursor:
        cursor.execute(REASONS, [export.pk])
        found: list[tuple[str, int]] = cursor.fetchall()
    return found


def reason_in_words(reason: str) -> str:
    return SKIP_REASONS.get(reason, reason)


def _line(row: Skipped, event: store.Row | None) -> SkippedLine:
    what = (row.pk, row.run.sequence, row.reason, reason_in_words(row.reason))
    if event is None:
        return SkippedLine(*what)
    return SkippedLine(*what, event.name, event.occurred_at, event.identity or event.clevertap_id, event.person_id)
