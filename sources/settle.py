"""Capturing a page that was read: events, fingerprints, counts and cursor in one transaction, under the fence."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import F

from events.ingest import ingest, read_records
from events.models import Identifier
from events.refusals import RefusedRecord
from events.refused_uploads import keep
from sources.clevertap import Page
from sources.models import Pull, Source
from sources.records import event_of, fingerprint, profile_of, uid

OWN = "SELECT 1 FROM sources_source WHERE id = %s AND fence = %s AND stopped_at IS NULL FOR UPDATE"
TALLIES = """
SELECT fingerprint, captured, CASE WHEN (pull_id, walk) = (%s, %s) THEN met ELSE 0 END
  FROM sources_imported WHERE project_id = %s AND fingerprint = ANY(%s)
"""
# No other writes these: a project has one source of an account that is not stopped, and this one is locked.
KEEP_TALLIES = """
INSERT INTO sources_imported (project_id, fingerprint, captured, pull_id, walk, met)
SELECT %(project)s, t.mark, t.captured, %(pull)s, %(walk)s, t.met
  FROM unnest(%(marks)s::uuid[], %(captured)s::int[], %(met)s::int[]) AS t (mark, captured, met)
    ON CONFLICT (project_id, fingerprint) DO UPDATE
   SET captured = excluded.captured, pull_id = excluded.pull_id, walk = excluded.walk, met = excluded.met
"""


class Lost(Exception):
    """The lease is somebody else's, or the source was edited or stopped: nothing was written."""


class _Read(NamedTuple):
    """A record that capture takes. who: the names of its person, as they are stored. upload: the event made of it."""

    record: Any
    who: tuple[str, ...]
    upload: dict[str, Any]
    mark: UUID


@dataclass
class _Tally:
    """Of one fingerprint, as in `Imported`."""

    captured: int = 0
    met: int = 0

    def number(self) -> int | None:
        """The number of one more event that is alike, from 1, when it is new; it counts as captured from now on."""
        self.met += 1
        if self.met <= self.captured:
            return None
        self.captured = self.met
        return self.met

    def take_back(self) -> None:
        """One that was new has been refused."""
        self.captured -= 1
        self.met -= 1


@transaction.atomic
def settle(*, source: Source, pull: Pull, page: Page, fence: int, now: datetime) -> None:
    """Capture what is new of the page, and move the cursor of its pull. Raises Lost."""
    with connection.cursor() as cursor:
        cursor.execute(OWN, [source.pk, fence])
        if cursor.fetchone() is None:
            raise Lost
    read, refused = _read(source, pull, page, now)
    tallies = _tallies(source, pull, {one.mark for one in read})
    new = [(one, number) for one in read if (number := tallies[one.mark].number()) is not None]
    profiles = _profiles_of_strangers(source, [one for one, _ in new])
    events = [{**one.upload, "uid": uid(one.mark, number)} for one, number in new]
    result = ingest(project=source.project, records=[*profiles, *events], now=now)
    # Alike ones have one name, so all of them were taken or none: the numbers of those taken have no gap.
    not_taken = [new[one.index - len(profiles)][0] for one in result.refused if one.index >= len(profiles)]
    for one in not_taken:
        tallies[one.mark].take_back()
    _keep_tallies(source, pull, tallies)
    if refused or result.refused:
        keep(project=source.project, refused=[*refused, *result.refused], now=now)
    is_over = not page.next_cursor
    Pull.objects.filter(pk=pull.pk).update(
        cursor=page.next_cursor,
        read=F("read") + len(page.records),
        captured=F("captured") + len(new) - len(not_taken),
        known=F("known") + len(read) - len(new),
        refused=F("refused") + len(refused) + len(not_taken),
        **({"state": Pull.State.DONE, "finished_at": now, "deaths": 0} if is_over else {}),
    )
    Source.objects.filter(pk=source.pk).update(failures=0, last_error="")


def _read(source: Source, pull: Pull, page: Page, now: datetime) -> tuple[list[_Read], list[RefusedRecord]]:
    """The records that capture takes, and those that it does not: these must not count as one that is alike."""
    zone = ZoneInfo(source.timezone)
    uploads = [event_of(record, name=pull.name, zone=zone) for record in page.records]
    accepted, refused = read_records(uploads, now=now)
    read = []
    for event in accepted:
        record = page.records[event.place]
        who = tuple(name for name in (event.identity, event.device) if name)
        mark = fingerprint(record, account_id=source.account_id, name=pull.name)
        read.append(_Read(record, who, uploads[event.place], mark))
    return read, refused


def _tallies(source: Source, pull: Pull, marks: Collection[UUID]) -> dict[UUID, _Tally]:
    with connection.cursor() as cursor:
        cursor.execute(TALLIES, [pull.pk, pull.walk, source.project_id, list(marks)])
        found = {mark: _Tally(captured, met) for mark, captured, met in cursor.fetchall()}
    return {mark: found.get(mark) or _Tally() for mark in marks}


def _keep_tallies(source: Source, pull: Pull, tallies: dict[UUID, _Tally]) -> None:
    kept = sorted((mark, tally) for mark, tally in tallies.items() if tally.captured)
    values: dict[str, Any] = {
        "project": source.project_id,
        "pull": pull.pk,
        "walk": pull.walk,
        "marks": [mark for mark, _ in kept],
        "captured": [tally.captured for _, tally in kept],
        "met": [tally.met for _, tally in kept],
    }
    with connection.cursor() as cursor:
        cursor.execute(KEEP_TALLIES, values)


def _profiles_of_strangers(source: Source, new: Iterable[_Read]) -> list[dict[str, Any]]:
    """Profiles of people whom nothing leads to yet. Those who are known keep theirs: CleverTap's has no date."""
    told = {one.who[0]: (one.who, profile) for one in new if (profile := profile_of(one.record))}
    names = {name for who, _ in told.values() for name in who}
    found = Identifier.objects.filter(project=source.project_id, kind__in=Identifier.Kind.values, value__in=names)
    known = set(found.values_list("value", flat=True))
    return [profile for who, profile in told.values() if known.isdisjoint(who)]
