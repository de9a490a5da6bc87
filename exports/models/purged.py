"""What the retention policy leaves of what it deleted (exports.retention)."""

from django.db import models
from django.db.models import F

from exports.models.export import Export
from projects.models import Project

KEPT_COUNTS = ("read", "delivered", "rejected", "skipped", "unconfirmed")


class PurgedRuns(models.Model):
    """The counts of an export's runs that are gone: its own are still those of all its runs."""

    export = models.OneToOneField(Export, on_delete=models.CASCADE, related_name="purged_runs")
    runs = models.PositiveIntegerField(default=0)
    read = models.BigIntegerField(default=0)
    delivered = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)
    unconfirmed = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "purged runs"
        constraints = [
            models.CheckConstraint(
                name="purged_runs_accounted_for", condition=models.Q(read=F("delivered") + F("rejected") + F("skipped"))
            )
        ]


class PurgeMark(models.Model):
    """How far the ended runs of a project have been gone through, in the order in which they ended."""

    class Kind(models.TextChoices):
        REJECTED = "rejected", "rejected and skipped records"
        RUNS = "runs", "runs"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    finished_at = models.DateTimeField(null=True)
    run_id = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind"], name="one_mark_per_kind")]
