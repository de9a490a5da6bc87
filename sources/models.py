"""Where events are brought in from: an account at CleverTap, what is read of it, and what has been read before."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from exports_portal.common.encrypted import EncryptedJSONField
from projects.models import Project, User
from sources.clevertap import REGIONS


class SourceManager(models.Manager["Source"]):
    """Without the passcode: who needs it asks for it, and no list fails when its key is gone."""

    def get_queryset(self) -> models.QuerySet["Source"]:
        return super().get_queryset().defer("passcode")


class Source(models.Model):
    """An account at CleverTap, and what is imported from it.

    One worker at a time works for it, under a lease by the database's clock. date_to None: every day that is over, on
    and on. Days are those of the account, whose zone CleverTap does not tell.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="sources")
    account_id = models.CharField(max_length=64)
    passcode = EncryptedJSONField()
    passcode_hint = models.CharField(max_length=4, help_text="last characters of the passcode")
    region = models.CharField(max_length=8, choices=[(name, region.label) for name, region in REGIONS.items()])
    timezone = models.CharField(max_length=64)
    events = ArrayField(models.TextField())
    date_from = models.DateField()
    date_to = models.DateField(null=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    stopped_at = models.DateTimeField(null=True)
    planned_to = models.DateField(null=True, help_text="the last day that has its pulls")

    fault = models.TextField(default="", help_text="set: nothing is read until a person has mended it")
    last_error = models.TextField(default="", help_text="why it waits; it goes on by itself")
    failures = models.IntegerField(default=0, help_text="in a row")
    not_before = models.DateTimeField(null=True)
    rung_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.IntegerField(default=0)

    objects = SourceManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "account_id"], name="one_source_per_account", condition=models.Q(stopped_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"CleverTap {self.account_id}"


class Pull(models.Model):
    """The events of one name on one day of the account: the unit that is read, and read again when its cursor died."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DONE = "done", "Done"
        REFUSED = "refused", "Not offered by CleverTap"

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="pulls", db_index=False)
    name = models.TextField()
    day = models.DateField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    walk = models.IntegerField(default=0, help_text="how often it was begun; never the same number twice")
    deaths = models.IntegerField(default=0, help_text="of cursors, since it was done last")
    cursor = models.TextField(default="", help_text="CleverTap's, of the next page; empty: to be begun")
    read = models.IntegerField(default=0, help_text="records in this walk")
    captured = models.IntegerField(default=0, help_text="in all walks")
    known = models.IntegerField(default=0, help_text="imported before, in this walk")
    refused = models.IntegerField(default=0, help_text="by the checks of capture, in this walk")
    error = models.TextField(default="")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "day", "name"], name="one_pull_per_day"),
            models.CheckConstraint(
                condition=models.Q(read__gte=models.F("known") + models.F("refused")), name="pull_adds_up"
            ),
        ]
        indexes = [
            models.Index(fields=["source", "day", "name"], name="waiting_pulls", condition=models.Q(state="waiting"))
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.day}"


class Imported(models.Model):
    """How many events of one fingerprint were captured, and how many of these the present walk has met.

    CleverTap's records have no id. Two that are alike may be two events, so they are counted: one is new when its walk
    has met all that were captured. Records that were refused are not counted. `captured` never falls, as numbers of
    events that are alike are part of their uids.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    fingerprint = models.UUIDField()
    captured = models.IntegerField()
    pull_id = models.BigIntegerField()
    walk = models.IntegerField()
    met = models.IntegerField(help_text="in that walk of that pull")

    class Meta:
        verbose_name_plural = "imported"
        constraints = [
            models.UniqueConstraint(fields=["project", "fingerprint"], name="one_count_per_fingerprint"),
            models.CheckConstraint(
                condition=models.Q(met__gte=0) & models.Q(met__lte=models.F("captured")), name="met_what_was_captured"
            ),
        ]
