"""Runs and their shards: one window being delivered, and the parts that one worker each delivers in order."""

import uuid
from collections.abc import Collection
from typing import Any, ClassVar

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery, Sum

from exports.models.counting import SUMS, CountedQuerySet
from exports.models.export import ACTIVE, Export, Status
from partners.models import Integration


class Axis(models.TextChoices):
    """In which order a run reads: the log of events or profile changes, or people themselves."""

    POSITION = "position", "by (tx_id, id)"
    TIME = "time", "by (occurred_at, id)"
    PERSON = "person", "people by id"


class RunQuerySet(CountedQuerySet["Run"]):
    """with_counts(): over its shards, takeovers and altered records, too."""

    summed: ClassVar[dict[str, Any]] = {**SUMS, "takeovers": Sum("takeovers"), "altered": Sum("altered")}

    def active(self) -> "RunQuerySet":
        return self.filter(status__in=ACTIVE)

    def latest_of(self, exports: Collection[Export]) -> "RunQuerySet":
        """The latest run of each export, found from the end of its runs: there may be thousands."""
        newest = Run.objects.filter(export=OuterRef("pk")).order_by("-sequence").values("pk")[:1]
        found = Export.objects.filter(pk__in=[export.pk for export in exports])
        return self.filter(pk__in=found.annotate(newest=Subquery(newest)).values("newest"))

    def shards(self) -> models.QuerySet[Any]:
        return Shard.objects.filter(run=OuterRef("pk")).values("run")


class Run(models.Model):
    """One window of one export. `settings` is frozen when the run is created; the API key is read live."""

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="runs", db_index=False)
    integration = models.ForeignKey(
        Integration, on_delete=models.PROTECT, related_name="runs", help_text="that of the export when it was created"
    )
    sequence = models.PositiveIntegerField()
    uid = models.UUIDField(
        default=uuid.uuid4, db_default=RandomUUID(), editable=False, help_text="namespace of the insert_ids of people"
    )
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    axis = models.CharField(max_length=8, choices=Axis.choices)
    window_start = models.DateTimeField(help_text="the rule on the time axis, a help for readers on the others")
    window_end = models.DateTimeField()
    from_tx_id = models.BigIntegerField(default=0, help_text="inclusive")
    until_tx_id = models.BigIntegerField(
        null=True,
        help_text="exclusive: the horizon, the ceiling of a one-time run; none while a live run is open",
    )
    settings = models.JSONField()
    estimate = models.BigIntegerField(default=0)
    reading = models.BooleanField(default=True, help_text="its cursor is not at its end")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    last_error = models.TextField(default="")
    request_id = models.CharField(
        max_length=36, default="", db_default="", editable=False, help_text="of the click that set it going, as logged"
    )

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["export", "sequence"], name="one_run_per_sequence"),
            models.UniqueConstraint(
                fields=["export"], name="one_reading_run", condition=Q(reading=True, status__in=ACTIVE)
            ),
            models.CheckConstraint(name="run_status_known", condition=Q(status__in=Status.values)),
            models.CheckConstraint(name="window_in_order", condition=Q(window_end__gte=F("window_start"))),
            models.CheckConstraint(name="positions_in_order", condition=Q(until_tx_id__gte=F("from_tx_id"))),
        ]
        indexes = [
            models.Index(fields=["export", "id"], name="runs_of_export"),  # joins need no more of a run
            models.Index(fields=["id"], name="active_runs", condition=Q(status__in=ACTIVE)),
            models.Index(fields=["finished_at", "id"], name="ended_runs", condition=Q(finished_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"run {self.sequence} of {self.export_id}"

    @property
    def is_endless(self) -> bool:
        """A live run until midnight or an edit ends it at its cursor."""
        return self.until_tx_id is None

    @property
    def has_ceiling(self) -> bool:
        """A one-time run, which owns all that had been committed when it was created."""
        return self.axis != Axis.POSITION


ORPHANED = Q(open=False) & (Q(in_flight__gt=0) | Q(in_flight_again__gt=0))  # once its lease has run out


class Shard(models.Model):
    """A part of a run: the records with lane % of == index, delivered strictly in order under a lease.

    Its cursor is (cursor_tx_id, cursor_id) or (cursor_time, cursor_id), the last record that was settled; among people
    (0, cursor_id).
    Every claim raises `fence`; settling is refused under an older one (rule 4).
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="shards")
    index = models.PositiveSmallIntegerField()
    of = models.PositiveSmallIntegerField()
    open = models.BooleanField(default=True, help_text="there is something to read, or held records to drain")
    reading = models.BooleanField(default=True, help_text="the cursor is not at the end of the window")

    start_tx_id = models.BigIntegerField(default=0, help_text="the cursor of the export that it continues")
    start_id = models.BigIntegerField(default=0)
    taken_over = models.IntegerField(default=0, help_text="held records of that export; they are read here, too")
    cursor_tx_id = models.BigIntegerField(default=0)
    cursor_time = models.DateTimeField(null=True)
    cursor_id = models.BigIntegerField(default=0)

    fence = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    lease_owner = models.CharField(max_length=120, default="")
    idle = models.BooleanField(default=False, help_text="of an endless run: waits for something to be captured")
    not_before = models.DateTimeField(null=True, help_text="backing off until then")
    resend_at = models.DateTimeField(null=True, help_text="when its first queued rejected record may be sent again")
    rung_at = models.DateTimeField(null=True, help_text="when a worker was last woken for it")
    failures = models.PositiveIntegerField(default=0, help_text="passing faults in a row")
    takeovers = models.PositiveIntegerField(default=0, help_text="leases that ran out and were taken over")
    batch_records = models.PositiveIntegerField(default=2000, help_text="working size, after 413")

    read = models.BigIntegerField(default=0)
    delivered = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)
    skip_reasons = models.JSONField(default=dict)
    hours = models.JSONField(
        default=dict, help_text="of a live run: begin of the local hour → [delivered, rejected] in it, as first settled"
    )
    rejected_purged = models.BigIntegerField(
        default=0, db_default=0, help_text="of the rejected: those that are counted, but not kept any more"
    )
    altered = models.BigIntegerField(default=0, help_text="records with a value that had to be cut or nulled")
    refused_in_row = models.PositiveSmallIntegerField(
        default=0, help_text="single records refused since the last accepted request, with nothing said of why"
    )
    control_id = models.BigIntegerField(null=True, help_text="a record delivered lately, to tell poison from walls")
    control_at = models.DateTimeField(null=True)
    in_flight = models.IntegerField(default=0, help_text="records in the request that is out now")
    unconfirmed = models.IntegerField(default=0, help_text="records behind the cursor, sent without an answer")
    in_flight_again = models.IntegerField(default=0, help_text="the same of held and rejected records, sent again")
    unconfirmed_again = models.IntegerField(default=0, help_text="the same of held and rejected records, sent again")
    counted = models.BooleanField(default=False, db_default=False, help_text="its run has ended and stands in Total")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "index"], name="one_shard_per_index"),
            models.CheckConstraint(
                name="everything_accounted_for",
                condition=Q(read=F("delivered") + F("rejected") + F("held") + F("skipped")),
            ),
            models.CheckConstraint(
                name="counts_not_negative",
                condition=Q(delivered__gte=0, rejected__gte=0, held__gte=0, skipped__gte=0),
            ),
        ]
        indexes = [
            models.Index(fields=["not_before", "id"], name="open_shards", condition=Q(open=True)),
            models.Index(fields=["resend_at"], name="shards_to_resend", condition=Q(resend_at__isnull=False)),
            models.Index(fields=["lease_until"], name="orphaned_shards", condition=ORPHANED),
            models.Index(fields=["open", "id"], name="uncounted_shards", condition=Q(counted=False)),
        ]

    def __str__(self) -> str:
        return f"shard {self.index}/{self.of} of run {self.run_id}"
