"""The people of a project, and what leads to them."""

from django.db import models
from django.db.models.functions import Upper

from events.models.catalogue import EventName
from projects.models import Project


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
