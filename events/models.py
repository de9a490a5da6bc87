"""The event log, the profile log, the people in them, and the catalogue of event names.

Writers: `events.ingest` alone. Readers of the logs: `events.store` alone. The retention policy deletes through
`events.purge`.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Upper

from projects.models import Project


class LogBase(models.Model):
    """The one row that makes log positions outlive a restored dump: tx_id = base + PostgreSQL's 64-bit xid.

    Capture and delivery stop while `system_identifier` differs from the server's (see `rebase_positions`).
    """

    base = models.BigIntegerField(default=0)
    system_identifier = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_log_base")]


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


class RefusedUpload(models.Model):
    """A record that the upload call refused, with its code and reason; the last ones of each project are kept."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="refused_uploads", db_index=False)
    received_at = models.DateTimeField()
    code = models.IntegerField()
    error = models.TextField()
    record = models.TextField(help_text="JSON as it came, cut where it is long")

    class Meta:
        indexes = [models.Index(fields=["project", "-id"], name="refused_by_project")]


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


class Person(models.Model):
    """One person of a project. `clevertap_id` is the id of the device on which they were first seen.

    identity: the one they were given first, else the FBID or GPID. merged_into: who they turned out to be. Their
    profile and all that leads to them went over; the events that they had stay with them.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="people")
    clevertap_id = models.CharField(max_length=64)
    identity = models.CharField(max_length=1024, null=True)
    name = models.CharField(max_length=512, null=True)
    email = models.CharField(max_length=512, null=True)
    phone = models.CharField(max_length=64, null=True)
    properties = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField(help_text="the last accepted profile update, else the creation")
    tx_id = models.BigIntegerField(default=0, db_default=0, help_text="position of the transaction that made them")
    merged_into = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="earlier", db_index=False
    )

    class Meta:
        verbose_name_plural = "people"
        constraints = [models.UniqueConstraint(fields=["project", "clevertap_id"], name="one_clevertap_id")]
        indexes = [
            models.Index(fields=["project", "id"], name="people_by_project"),
            models.Index("project", Upper("email"), name="people_by_email", condition=models.Q(email__isnull=False)),
            models.Index(fields=["project", "phone"], name="people_by_phone", condition=models.Q(phone__isnull=False)),
            models.Index(
                fields=["merged_into"], name="people_merged_into", condition=models.Q(merged_into__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.identity or self.clevertap_id


class Identifier(models.Model):
    """A value that leads to a person: an identity, an FBID or GPID, or a device's CleverTap ID (objectId)."""

    class Kind(models.TextChoices):
        IDENTITY = "identity", "Identity"
        FBID = "fbid", "Facebook ID"
        GPID = "gpid", "Google ID"
        DEVICE = "device", "CleverTap ID"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.CharField(max_length=1024)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="identifiers")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind", "value"], name="one_person_per_identifier")]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class LifetimeCount(models.Model):
    """How many events of one name a person had, and when first and last; rolled up from the log, and never purged.

    They belong to the person that the events have: who was merged into somebody keeps theirs (`events.lifetimes`).
    No id of its own and no checks of the keys: twenty thousand rows a second may change.
    """

    pk = models.CompositePrimaryKey("person", "name")
    person = models.ForeignKey(
        Person, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="lifetime_counts"
    )
    name = models.ForeignKey(
        EventName, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    count = models.BigIntegerField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()


class Flag:
    """Bits of `Event.flags`: what delivery must know before it may pass `properties` on as text."""

    CUT = 1  # a value was longer than the limit and was cut
    ODD_NAME = 2  # a name has characters that the original forbids; kept
    WELL_KNOWN = 4  # properties hold keys that partners may want at top level (CT App Version, Amount, …)
    PARSE = 8  # anything else that makes delivery parse the text: nested values, long strings, odd keys


class LogRow(models.Model):
    """What both logs share.

    No database constraint on the foreign keys: a check per row would cost more than the insert itself,
    and ingest, the only writer, has just read or made those rows in the same transaction.
    """

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField()
    tx_id = models.BigIntegerField()
    received_at = models.DateTimeField()
    identity = models.CharField(max_length=1024, null=True)
    clevertap_id = models.CharField(max_length=64)
    lane = models.SmallIntegerField(help_text="stable hash of the person, 0 to 1023; shards take lane % n")

    class Meta:
        abstract = True


class Event(LogRow):
    """One event as captured. Inserted, and deleted as a whole once the project keeps it no longer (events.purge)."""

    project = models.ForeignKey(
        Project, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    name = models.ForeignKey(
        EventName, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    person = models.ForeignKey(
        Person, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    occurred_at = models.DateTimeField()
    properties = models.JSONField()
    flags = models.SmallIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["project", "tx_id", "id"], name="events_by_position"),
            models.Index(fields=["project", "occurred_at", "id"], name="events_by_time"),
        ]


class ProfileChange(LogRow):
    """One accepted profile update: the keys that it set and those that it removed. Written as events are."""

    project = models.ForeignKey(
        Project, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    person = models.ForeignKey(
        Person, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    changed = models.JSONField()
    removed = ArrayField(models.TextField(), default=list)

    class Meta:
        indexes = [
            models.Index(fields=["project", "tx_id", "id"], name="changes_by_position"),
            models.Index(fields=["project", "received_at", "id"], name="changes_by_time"),
        ]


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
