"""An export: what is sent, to which integration, how often."""

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import JSONObject

from exports.models.counting import SETTLED, SUMS, CountedQuerySet, is_any_of
from partners.models import Integration
from projects.models import Project, User

if TYPE_CHECKING:
    from exports.spec import ExportSpec


class Status(models.TextChoices):
    """Of exports and runs alike. Written by exports.lifecycle only."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    STOPPED = "STOPPED"


ACTIVE = (Status.PENDING, Status.RUNNING)


class ExportType(models.TextChoices):
    EVENTS = "events", "Events"
    USER_PROFILES = "user_profiles", "User profiles"


class EventChoice(models.TextChoices):
    ALL = "all", "All events"
    SELECTED = "selected", "Selected events"
    ENGAGEMENT = "engagement", "Engagement events"


class Frequency(models.TextChoices):
    ONE_TIME = "one_time", "One time"
    RECURRING = "recurring", "Recurring"
    LIVE = "live", "Live Data Streaming"


EVERY_HOURS = (4, 6, 8, 12, 24)


def settled(row: Any) -> int:
    """How many records of a shard, or of a run or export with_counts(), have their outcome."""
    return sum(getattr(row, name) for name in SETTLED)


def is_accounted_for(row: Any) -> bool:
    """Rule 2: read = delivered + rejected + held + skipped. The database holds it for every shard."""
    return bool(row.read == settled(row))


def default_priority() -> list[str]:
    return ["identity", "email", "phone"]


class ExportQuerySet(CountedQuerySet["Export"]):
    """with_counts(): over all runs. Altered records too, and runs and rejected records that are not kept any more."""

    summed: ClassVar[dict[str, Any]] = {
        **SUMS,
        "altered": Sum("altered"),
        "rejected_purged": Sum("rejected_purged"),
        "runs_purged": Value(0),  # those have no shards
    }

    def active(self) -> "ExportQuerySet":
        return self.filter(status__in=ACTIVE)

    def live(self) -> "ExportQuerySet":
        """Those that stream what is captured."""
        return self.active().filter(frequency=Frequency.LIVE)

    def due(self, now: object) -> "ExportQuerySet":
        """Those whose next run should have been created by `now`."""
        return self.active().filter(next_run_at__lte=now)

    def failing_until(self, moment: object) -> "ExportQuerySet":
        """Those that no request has got through for since `moment`."""
        return self.active().filter(failing_since__lte=moment)

    def shards(self) -> models.QuerySet[Any]:
        from exports.models.run import Run, Shard

        runs = Run.objects.filter(export=OuterRef(OuterRef("pk"))).order_by().values("pk")
        return Shard.objects.filter(is_any_of("run_id", runs)).annotate(all=Value(1)).values("all")

    def purged(self) -> Subquery:
        from exports.models.purged import KEPT_COUNTS, PurgedRuns

        gone = PurgedRuns.objects.filter(export=OuterRef("pk"))
        kept = {**{name: name for name in KEPT_COUNTS}, "rejected_purged": "rejected", "runs_purged": "runs"}
        return Subquery(gone.values(counts=JSONObject(**kept)))


class Export(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="exports")
    integration = models.ForeignKey(Integration, on_delete=models.PROTECT, related_name="exports")
    name = models.CharField(max_length=200, default="", blank=True)
    type = models.CharField(max_length=16, choices=ExportType.choices, default=ExportType.EVENTS)
    events = models.CharField(max_length=16, choices=EventChoice.choices, default=EventChoice.ALL)
    selected_events = ArrayField(models.CharField(max_length=512), default=list, blank=True)
    identifier_priority = ArrayField(models.CharField(max_length=16), default=default_priority)
    excluded_properties = ArrayField(models.CharField(max_length=512), default=list, blank=True)
    hyphenate_names = models.BooleanField(default=False)

    frequency = models.CharField(max_length=16, choices=Frequency.choices)
    date_from = models.DateField(null=True, help_text="one time, events: first local day, inclusive")
    date_to = models.DateField(null=True, help_text="one time, events: last local day, inclusive")
    every_hours = models.PositiveSmallIntegerField(null=True, help_text="recurring")
    start_date = models.DateField(null=True, help_text="recurring: the cycle starts at 12:00 a.m. of this local day")

    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING, editable=False)
    stop_reason = models.TextField(default="", editable=False)
    stopped_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    needs_attention = models.BooleanField(default=False, editable=False)
    last_error = models.TextField(default="", editable=False, validators=[MaxLengthValidator(2000)])

    failing_since = models.DateTimeField(
        null=True, editable=False, help_text="the first of the refusals in a row, with no accepted request since"
    )

    next_run_at = models.DateTimeField(null=True, editable=False)
    captured_from = models.DateTimeField(
        editable=False, help_text="recurring and live: owns what was captured from here on"
    )
    next_tx_id = models.BigIntegerField(editable=False, help_text="the next window of a recurring export begins here")
    exported_on = models.DateTimeField(editable=False, help_text="start of the latest run; the creation until then")
    continues = models.OneToOneField(
        "self", null=True, on_delete=models.SET_NULL, related_name="continued_by", editable=False
    )
    submission = models.UUIDField(
        null=True, editable=False, help_text="of the form that it was created by: sent twice, that makes one export"
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    updated_at = models.DateTimeField(editable=False)

    objects = ExportQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="one_time_events_have_dates",
                condition=~Q(frequency="one_time", type="events")
                | Q(date_from__isnull=False, date_to__gte=F("date_from")),
            ),
            models.CheckConstraint(
                name="profiles_have_no_events_nor_dates",
                condition=Q(type="events")
                | Q(events="all", selected_events__len=0, date_from__isnull=True, date_to__isnull=True),
            ),
            models.CheckConstraint(
                name="recurring_has_a_cycle",
                condition=~Q(frequency="recurring") | Q(every_hours__in=EVERY_HOURS, start_date__isnull=False),
            ),
            models.CheckConstraint(
                name="selected_has_events", condition=~Q(events="selected") | Q(selected_events__len__gt=0)
            ),
            models.UniqueConstraint(  # partial, so that no list is read along it
                fields=["project", "submission"],
                name="one_export_per_submission",
                condition=Q(submission__isnull=False),
            ),
            models.CheckConstraint(name="export_status_known", condition=Q(status__in=Status.values)),
        ]
        indexes = [
            models.Index(  # the columns that are filtered by: pages and counts with any filters are read from it alone
                fields=["project", "-exported_on", "-id"],
                name="exports_for_lists",
                include=["status", "type", "frequency", "integration", "name"],
            ),
            models.Index(fields=["next_run_at"], name="exports_due", condition=Q(status__in=ACTIVE)),
            models.Index(
                fields=["failing_since"],
                name="exports_failing",
                condition=Q(status__in=ACTIVE, failing_since__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def apply(self, spec: "ExportSpec", integration: Integration) -> None:
        """Take over the writable fields of a spec that has been checked."""
        for name, value in asdict(spec).items():
            if name != "integration_id":
                setattr(self, name, list(value) if isinstance(value, tuple) else value)
        self.integration = integration

    @property
    def label(self) -> str:
        """What people call it: its own name, else the integration's nickname."""
        return self.name or self.integration.nickname

    @property
    def of_profiles(self) -> bool:
        """Whether it sends user profiles; else events. That never changes (seed, Points to Remember)."""
        return self.type == ExportType.USER_PROFILES

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def sends_again(self) -> bool:
        """Whether rejected records of it wait to be sent again, also once it is over."""
        return self.runs.filter(shards__resend_at__isnull=False).exists()

    @property
    def cycle(self) -> tuple[date, int] | None:
        """Start and hours of a recurring export; None for a live one, which begins anew each day."""
        if self.frequency != Frequency.RECURRING:
            return None
        assert self.start_date is not None
        assert self.every_hours is not None
        return self.start_date, self.every_hours

    @property
    def is_editable(self) -> bool:
        """Recurring and live exports while PENDING or RUNNING (the seed's Points to Remember)."""
        return self.is_active and self.frequency != Frequency.ONE_TIME
