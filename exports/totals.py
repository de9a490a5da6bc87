"""Sums over all runs there ever were: shards of ended runs are added up once, and only the others are gone through."""

from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, F, Sum

from exports.models import Shard, Status, Total
from exports.models.counting import COUNTS

AT_ONCE = 2_000  # shards of one tick
ADD_UP = """
WITH ended AS (
    SELECT s.id, r.status FROM exports_shard s JOIN exports_run r ON r.id = s.run_id
     WHERE NOT s.counted AND NOT s.open AND r.status IN ('DONE', 'STOPPED')
     ORDER BY s.id LIMIT %s FOR NO KEY UPDATE OF s SKIP LOCKED),
counted AS (
    UPDATE exports_shard s SET counted = true FROM ended e WHERE s.id = e.id
    RETURNING s.run_id, s.index, e.status, s.read, s.delivered, s.rejected, s.held, s.skipped,
              s.unconfirmed + s.unconfirmed_again AS unconfirmed),
added AS (
    INSERT INTO exports_total AS t
           (id, read, delivered, rejected, held, skipped, unconfirmed, runs_done, runs_stopped)
    SELECT 1, sum(read), sum(delivered), sum(rejected), sum(held), sum(skipped), sum(unconfirmed),
           count(*) FILTER (WHERE index = 0 AND status = 'DONE'),
           count(*) FILTER (WHERE index = 0 AND status = 'STOPPED')
      FROM counted HAVING count(*) > 0
    ON CONFLICT (id) DO UPDATE
       SET read = t.read + excluded.read, delivered = t.delivered + excluded.delivered,
           rejected = t.rejected + excluded.rejected, held = t.held + excluded.held,
           skipped = t.skipped + excluded.skipped, unconfirmed = t.unconfirmed + excluded.unconfirmed,
           runs_done = t.runs_done + excluded.runs_done, runs_stopped = t.runs_stopped + excluded.runs_stopped)
SELECT run_id FROM counted WHERE index = 0
"""


@dataclass(frozen=True)
class Totals:
    """records: by outcome, and "read". runs: by status. unconfirmed: records sent without an answer."""

    records: dict[str, int]
    unconfirmed: int
    runs: dict[str, int]


def add_up(*, limit: int = AT_ONCE) -> list[int]:
    """Add shards of ended runs to the totals; returns the runs, each once in its life."""
    with connection.cursor() as cursor:
        cursor.execute(ADD_UP, [limit])
        return [run_id for (run_id,) in cursor.fetchall()]


def totals() -> Totals:
    """Two look-ups, which cost what is going on now and not what was."""
    kept = Total.objects.first() or Total()
    rest = Shard.objects.filter(counted=False)
    sums = rest.aggregate(
        **{name: Sum(name, default=0) for name in COUNTS},
        out=Sum(F("unconfirmed") + F("unconfirmed_again"), default=0),
    )
    runs = {Status.PENDING: 0, Status.RUNNING: 0, Status.DONE: kept.runs_done, Status.STOPPED: kept.runs_stopped}
    for status, count in rest.filter(index=0).values_list("run__status").annotate(count=Count("pk")).order_by():
        runs[Status(status)] += count
    return Totals(
        records={name: getattr(kept, name) + sums[name] for name in COUNTS},
        unconfirmed=kept.unconfirmed + sums["out"],
        runs={str(status): count for status, count in runs.items()},
    )
