"""What stays of records that are gone: deleted with their person, or purged."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from events.models.catalogue import EventName
from projects.models import Project


class Erasure(models.Model):
    """People who were deleted on request (privacy), by row id alone, and how far their records are gone, too.

    They themselves are gone at once. tx_id: the horizon then; what was captured from there on may still have known
    them, so the logs are looked through twice (events.erasure).
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="erasures")
    people = ArrayField(models.BigIntegerField())
    tx_id = models.BigIntegerField()
    requested_at = models.DateTimeField()
    first_pass_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="unfinished_erasures", condition=models.Q(finished_at__isnull=True)),
        ]


class Erased(models.Model):
    """A row that was deleted with its person, without anything personal: so runs that read it still add up."""

    class Log(models.TextChoices):
        EVENTS = "events", "Events"
        CHANGES = "changes", "Profile updates"
        PEOPLE = "people", "People"

    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="records")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    log = models.CharField(max_length=8, choices=Log.choices)
    record_id = models.BigIntegerField(help_text="its id there")
    tx_id = models.BigIntegerField()
    name = models.ForeignKey(EventName, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    occurred_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    lane = models.SmallIntegerField()

    class Meta:
        verbose_name_plural = "erased records"
        constraints = [models.UniqueConstraint(fields=["log", "record_id"], name="erased_once")]
        indexes = [models.Index(fields=["project", "log", "tx_id", "record_id"], name="erased_by_position")]


class PurgedLog(models.Model):
    """How much of a project's log is gone: at or below (tx_id, row_id) something may be missing (events.purge)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    log = models.CharField(max_length=32, help_text="its table")
    tx_id = models.BigIntegerField(default=0)
    row_id = models.BigIntegerField(default=0)
    received_until = models.DateTimeField(null=True, help_text="when the latest of them was received")
    happened_until = models.DateTimeField(null=True, help_text="when the latest of them happened")
    records = models.BigIntegerField(default=0, help_text="how many are gone")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "log"], name="one_mark_per_log")]
