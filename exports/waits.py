"""What active exports wait for, and until when: derived from shards, held records and integrations, never stored."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F, Max, Min, Q, Value
from django.db.models.functions import Coalesce, Greatest

from exports.models import Export, Shard
from exports_portal.common import words

LOOK_ROWS = 5_000  # held records of an export that are looked at: all share a few reasons


@dataclass(frozen=True)
class HeldFor:
    """Held records that wait for the same reason. first: when the first of them may go."""

    message: str
    count: int
    first: datetime
    now: datetime

    @property
    def goes(self) -> str:
        """When the first of them is sent again."""
        return f"{'It goes' if self.count == 1 else 'The first goes'} {words.until(self.first, now=self.now)}."


@dataclass(frozen=True)
class Wait:
    """next_try: when something is sent again at the earliest; None when nothing stands in the way right now.

    paused_until: the partner has asked for a pause of the whole integration. failures: passing faults in a row.
    """

    now: datetime
    next_try: datetime | None = None
    paused_until: datetime | None = None
    failures: int = 0
    held: list[HeldFor] = field(default_factory=list)

    @property
    def next_in_words(self) -> str:
        """ "in 12 s, at 14:02:10"; empty when nothing waits."""
        return words.until(self.next_try, now=self.now) if self.next_try else ""

    @property
    def is_held_up(self) -> bool:
        """Sending as such waits, be it after a fault or for the partner; held records alone hold nothing up."""
        return self.next_try is not None and bool(self.failures or self.paused_until)

    @property
    def note(self) -> str:
        """For a table: the shortest that says why nothing moves."""
        return f"next try {words.soon(self.next_try, now=self.now)}" if self.next_try and self.is_held_up else ""

    @property
    def held_note(self) -> str:
        """When the first held record may go, for a table."""
        return words.soon(min(one.first for one in self.held), now=self.now) if self.held else ""


def waits(exports: Iterable[Any], *, now: datetime) -> dict[int, Wait]:
    """What each active export among these waits for, by export id. They come from with_counts()."""
    active = [export for export in exports if export.is_active]
    if not active:
        return {}
    held = _held([export.pk for export in active if export.held], now)
    pauses = {row["run__export"]: row for row in _pauses(active, now)}
    return {export.pk: _wait(pauses.get(export.pk), held.get(export.pk, []), now) for export in active}


def _wait(pause: dict[str, Any] | None, held: list[HeldFor], now: datetime) -> Wait:
    if pause is None:
        return Wait(now, held=held)
    until, paused = pause["next_try"], pause["paused"]
    return Wait(
        now,
        next_try=until if until > now else None,
        paused_until=paused if paused and paused > now else None,
        failures=pause["failed"],
        held=held,
    )


def _pauses(active: list[Export], now: datetime) -> Any:
    """Of each export the shard that may send first. A shard of its own, or the integration of its run, may wait."""
    moment = Value(now)
    may_send = Greatest(
        Coalesce(F("not_before"), moment), Coalesce(F("run__integration__paused_until"), moment), moment
    )
    shards = Shard.objects.filter(Q(open=True) | Q(resend_at__isnull=False), run__export__in=active).order_by()
    return shards.values("run__export").annotate(
        next_try=Min(may_send), paused=Max("run__integration__paused_until"), failed=Max("failures")
    )


HELD = """
SELECT e.id, h.message, count(*), min(h.not_before)
  FROM unnest(%s::bigint[]) AS e (id),
       LATERAL (SELECT message, not_before FROM exports_held WHERE export_id = e.id ORDER BY id LIMIT %s) AS h
 GROUP BY e.id, h.message
 ORDER BY e.id, count(*) DESC, h.message
"""


def _held(export_ids: Collection[int], now: datetime) -> dict[int, list[HeldFor]]:
    """Why records of these exports are held, most frequent first. Costs the same however many there are."""
    if not export_ids:
        return {}
    found: dict[int, list[HeldFor]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(HELD, [list(export_ids), LOOK_ROWS])
        for export_id, message, count, first in cursor.fetchall():
            found[export_id].append(HeldFor(message, count, first, now))
    return found
