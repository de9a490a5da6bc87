"""What is wrong with an export for now, and whether people know."""

from django.db import models
from django.db.models import Q

from exports.models.export import Export
from notifications.models import Kind

WRONG = (Kind.FAILING, Kind.STOPPED, Kind.REJECTED, Kind.EMPTY, Kind.LAG)


class Alert(models.Model):
    """One thing wrong with one export, from when it began until it is over and people know that, too.

    An alert that nobody was told of yet waits, so that many become one notification; one that ends before leaves no
    trace.
    """

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.label) for kind in WRONG])
    message = models.TextField(default="")
    since = models.DateTimeField()
    notified_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["export", "kind"], name="one_alert_of_a_kind"),
            models.CheckConstraint(name="alert_of_what_is_wrong", condition=Q(kind__in=[str(kind) for kind in WRONG])),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                name="alerts_to_tell",
                condition=Q(notified_at__isnull=True) | Q(resolved_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.export_id}"
