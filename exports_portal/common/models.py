"""The audit log: who did what, when, from what to what. Append-only; the database refuses changes."""

from django.db import models


class AuditEntry(models.Model):
    """One act of a person or of the portal, written in the transaction of the act itself.

    `project_id` is a plain number: this app lies below `projects`. Secrets never enter `before` and `after`.
    """

    at = models.DateTimeField()
    project_id = models.BigIntegerField(null=True)
    actor_id = models.BigIntegerField(null=True, help_text="the user; empty when the portal itself acted")
    actor = models.CharField(max_length=254, help_text="the user's email as it was, or the portal's part that acted")
    address = models.GenericIPAddressField(null=True, help_text="where the request came from")
    action = models.CharField(max_length=64, help_text="noun.verb, for example export.stopped")
    target_type = models.CharField(max_length=32)
    target_id = models.BigIntegerField(null=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["target_type", "target_id", "-id"], name="audit_by_target"),
            models.Index(fields=["project_id", "-id"], name="audit_by_project"),
            # what the page of the audit log is ordered and filtered by
            models.Index(fields=["project_id", "at", "id"], name="audit_by_time"),
            models.Index(fields=["project_id", "actor", "at", "id"], name="audit_by_actor"),
            models.Index(fields=["project_id", "action", "at", "id"], name="audit_by_action"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target_type}:{self.target_id}"
