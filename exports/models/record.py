"""Records that were not simply accepted: rejected, held, skipped."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from exports.models.export import Export
from exports.models.run import Run, Shard


class Rejected(models.Model):
    """A record that we or the partner refused, with reason and payload."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="rejected_records")
    shard = models.ForeignKey(Shard, on_delete=models.CASCADE, related_name="+")
    record_id = models.BigIntegerField(help_text="id in the log that its run reads")
    reason = models.CharField(max_length=64)
    field = models.CharField(max_length=120, default="")
    message = models.TextField()
    cure = models.TextField(default="")
    payload = models.TextField(default="")
    attempts = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    resend_at = models.DateTimeField(null=True, help_text="queued to be sent again, not before then")

    class Meta:
        verbose_name_plural = "rejected records"
        constraints = [models.UniqueConstraint(fields=["shard", "record_id"], name="rejected_once")]
        indexes = [
            models.Index(fields=["run", "reason", "id"], name="rejected_by_reason"),
            models.Index(
                fields=["shard", "resend_at"], name="rejected_to_resend", condition=models.Q(resend_at__isnull=False)
            ),
        ]


class Held(models.Model):
    """A record that must wait for its ids, kept by reference. Later records of the same ids queue behind it."""

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="held_records")
    shard = models.ForeignKey(Shard, on_delete=models.CASCADE, related_name="held_records")
    record_id = models.BigIntegerField(help_text="id in the log that its run reads")
    ids = ArrayField(models.TextField(), help_text="u:user_id and d:device_id as sent")
    not_before = models.DateTimeField()
    message = models.TextField(default="")

    class Meta:
        verbose_name_plural = "held records"
        constraints = [models.UniqueConstraint(fields=["shard", "record_id"], name="held_once")]
        indexes = [
            models.Index(fields=["shard", "not_before", "id"], name="held_due"),
            models.Index(fields=["export", "id"], name="held_by_export"),
            GinIndex(fields=["ids"], name="held_by_ids"),
        ]


class Skipped(models.Model):
    """One of the first 1,000 records of a run that could not be sent at all; all are counted on the shard."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="skipped_records")
    shard = models.ForeignKey(Shard, on_delete=models.CASCADE, related_name="+")
    record_id = models.BigIntegerField(help_text="id in the log that its run reads")
    reason = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "skipped records"
        constraints = [models.UniqueConstraint(fields=["shard", "record_id"], name="skipped_once")]
