"""The catalogue of event names and what is known of each, rolled up from the log."""

from django.db import models

from projects.models import Project


class EventName(models.Model):
    """A name in the catalogue of a project; events refer to it by id."""

    class Kind(models.TextChoices):
        SYSTEM = "system", "System"
        ENGAGEMENT = "engagement", "Engagement"
        CUSTOM = "custom", "Custom"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="event_names")
    name = models.CharField(max_length=512)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(null=True, help_text="rolled up from the log, a little late")
    count = models.BigIntegerField(default=0, help_text="rolled up from the log, a little late")
    discarded_at = models.DateTimeField(null=True, help_text="since then its events are refused, with code 528")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_name_per_project")]

    def __str__(self) -> str:
        return self.name


class PropertySeen(models.Model):
    """A property that events of a name had, and one type of its values; rolled up from the log.

    The most of one name is a limit of `events.rollup`: keys that programs make up would never end.
    """

    class Type(models.TextChoices):
        TEXT = "string", "Text"
        NUMBER = "number", "Number"
        BOOLEAN = "boolean", "True or false"
        DATE = "date", "Date"
        LIST = "array", "List"
        OBJECT = "object", "Object"
        EMPTY = "null", "Empty"

    name = models.ForeignKey(EventName, on_delete=models.CASCADE, related_name="properties_seen")
    key = models.CharField(max_length=128)
    type = models.CharField(max_length=8, choices=Type.choices)
    count = models.BigIntegerField(default=0)
    last_seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "properties seen"
        constraints = [models.UniqueConstraint(fields=["name", "key", "type"], name="one_type_per_property")]

    def __str__(self) -> str:
        return f"{self.key} ({self.get_type_display()})"


class DailyCount(models.Model):
    """Events of one name that happened on one local day of the project; rolled up from the log."""

    name = models.ForeignKey(EventName, on_delete=models.CASCADE, related_name="daily_counts")
    day = models.DateField()
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "day"], name="one_count_per_day")]


class RollupPosition(models.Model):
    """How far a project's log has been rolled up for one kind of counts: every event with tx_id below is counted."""

    class Kind(models.TextChoices):
        CATALOGUE = "catalogue", "Catalogue"
        PEOPLE = "people", "People"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rollup_positions")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.CATALOGUE)
    tx_id = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind"], name="one_rollup_position_per_kind")]
