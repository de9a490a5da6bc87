"""The event log, the profile log, and what the upload call refused.

`events.ingest` alone inserts. Exports read through `events.store`, CleverTap's read calls through `events.reading`;
`events.rollup` counts. The retention policy deletes through `events.purge`, whoever asks for privacy through
`events.erasure`.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from events.models.catalogue import EventName
from events.models.person import Person
from projects.models import Project


class LogBase(models.Model):
    """The one row that makes log positions outlive a restored dump: tx_id = base + PostgreSQL's 64-bit xid.

    Capture and delivery stop while `system_identifier` differs from the server's (see `rebase_positions`).
    """

    base = models.BigIntegerField(default=0)
    system_identifier = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_log_base")]


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


class RefusedUpload(models.Model):
    """A record that the upload call refused, with its code and reason; the last ones of each project are kept."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="refused_uploads", db_index=False)
    received_at = models.DateTimeField()
    code = models.IntegerField()
    error = models.TextField()
    record = models.TextField(help_text="JSON as it came, cut where it is long")

    class Meta:
        indexes = [models.Index(fields=["project", "-id"], name="refused_by_project")]
