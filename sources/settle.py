"""Capturing a page that was read: events, fingerprints, counts and cursor in one transaction, under the fence."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import F

from events.ingest import Result, ingest
from events.models import Identifier
from events.refused_uploads import keep
from sources.clevertap import Page
from sources.models import Pull, Source
from sources.records import event_of, fingerprint, profile_of, uid

OWN = "SELECT 1 FROM sources_source WHERE id = %s AND fence = %s AND stopped_at IS NULL FOR UPDATE"
# In sorted order, so that two sources of a project wait for each other in one direction.
MEET = """
INSERT INTO sources_imported AS i (project_id, fingerprint, captured, pull_id, walk, met)
SELECT %(project)s, m.fingerprint, m.count, %(pull)s, %(walk)s, m.count
  FROM unnest(%(fingerprints)s::uuid[], %(counts)s::int[]) AS m (fingerprint, count)
    ON CONFLICT (project_id, fingerprint) DO UPDATE
   SET met = CASE WHEN (i.pull_id, i.walk) = (excluded.pull_id, excluded.walk) THEN i.met ELSE 0 END + excluded.met,
       captured = greatest(i.captured,
           CASE WHEN (i.pull_id, i.walk) = (excluded.pull_id, excluded.walk) THEN i.met ELSE 0 END + excluded.met),
       pull_id = excluded.pull_id, walk = excluded.walk
RETURNING fingerprint, met
"""
FORGET = """
UPDATE sources_imported i SET captured = i.captured - m.count
  FROM unnest(%s::uuid[], %s::int[]) AS m (fingerprint, count)
 WHERE i.project_id = %s AND i.fingerprint = m.fingerprint
"""
BEFORE = "SELECT fingerprint, captured FROM sources_imported WHERE project_id = %s AND fingerprint = ANY(%s)"


class Lost(Exception):
    """The lease is somebody else's, or the source was stopped: nothing was written."""


@transaction.atomic
def settle(*, source: Source, pull: Pull, page: Page, fence: int, now: datetime) -> Result:
    """Capture what is new of the page, and move the cursor of its pull. Raises Lost."""
    with connection.cursor() as cursor:
        cursor.execute(OWN, [source.pk, fence])
        if cursor.fetchone() is None:
            raise Lost
    new = _new(source, pull, page.records)
    events = [event_of(record, name=pull.name, zone=ZoneInfo(source.timezone)) for _, record in new]
    uploads = [{**event, "uid": mark} for event, (mark, _) in zip(events, new, strict=True)]
    profiles = _profiles_of_strangers(source, [record for _, record in new])
    result = ingest(project=source.project, records=[*profiles, *uploads], now=now)
    refused = [one.index - len(profiles) for one in result.refused if one.index >= len(profiles)]
    if result.refused:
        keep(project=source.project, refused=result.refused, now=now)
        _forget(source, pull, [new[place][1] for place in refused])
    is_over = not page.next_cursor
    Pull.objects.filter(pk=pull.pk).update(
        cursor=page.next_cursor,
        read=F("read") + len(page.records),
        captured=F("captured") + len(uploads) - len(refused),
        known=F("known") + len(page.records) - len(new),
        refused=F("refused") + len(refused),
        **({"state": Pull.State.DONE, "finished_at": now} if is_over else {}),
    )
    Source.objects.filter(pk=source.pk).update(failures=0, last_error="")
    return result


def _forget(source: Source, pull: Pull, records: Sequence[Any]) -> None:
    """What was refused may be captured another time, when the reason is gone."""
    counts = Counter(fingerprint(record, account_id=source.account_id, name=pull.name) for record in records)
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [list(counts), list(counts.values()), source.project_id])


def _new(source: Source, pull: Pull, records: Sequence[Any]) -> list[tuple[str, Any]]:
    """Those that were never captured, each with its uid. Alike ones are told apart by their number in the walk."""
    marks = [fingerprint(record, account_id=source.account_id, name=pull.name) for record in records]
    counts = Counter(marks)
    ordered = sorted(counts)
    values: dict[str, Any] = {
        "project": source.project_id,
        "pull": pull.pk,
        "walk": pull.walk,
        "fingerprints": ordered,
        "counts": [counts[mark] for mark in ordered],
    }
    with connection.cursor() as cursor:
        cursor.execute(BEFORE, [source.project_id, ordered])
        before: dict[UUID, int] = dict(cursor.fetchall())
        cursor.execute(MEET, values)
        met: dict[UUID, int] = dict(cursor.fetchall())
    number = {mark: met[mark] - counts[mark] for mark in ordered}
    new = []
    for mark, record in zip(marks, records, strict=True):
        number[mark] += 1
        if number[mark] > before.get(mark, 0):
            new.append((uid(mark, number[mark]), record))
    return new


def _profiles_of_strangers(source: Source, records: Iterable[Any]) -> list[dict[str, Any]]:
    """Profiles of people whom nothing leads to yet. Those who are known keep theirs: CleverTap's has no date."""
    profiles: dict[str, dict[str, Any]] = {}
    for record in records:
        if profile := profile_of(record):
            profiles[str(profile.get("identity") or profile.get("objectId"))] = profile
    names = {str(one[key]) for one in profiles.values() for key in ("identity", "objectId") if key in one}
    found = Identifier.objects.filter(project=source.project_id, kind__in=Identifier.Kind.values, value__in=names)
    known = set(found.values_list("value", flat=True))
    return [
        one
        for one in profiles.values()
        if not known & {str(one[key]) for key in ("identity", "objectId") if key in one}
    ]
