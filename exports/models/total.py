"""Sums over the runs that have ended, so that nobody has to go through a million of them."""

from django.db import models


class Total(models.Model):
    """One row: sums over all shards that are `counted`, those of purged runs included, and how many runs ended how.

    `exports.totals` adds shards; a trigger adds what changes on a counted one: a rejected record that is sent again,
    or a late answer to the last request of a stopped run.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    read = models.BigIntegerField(default=0)
    delivered = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)
    unconfirmed = models.BigIntegerField(default=0)
    runs_done = models.BigIntegerField(default=0)
    runs_stopped = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(name="one_row_of_totals", condition=models.Q(id=1))]
