"""What a project is told by itself, whom it reaches, and what became of each mail and call."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from exports_portal.common.encrypted import EncryptedJSONField
from projects.models import Project, User


class Kind(models.TextChoices):
    FAILING = "failing", "An export fails"
    RECOVERED = "recovered", "It sends again"
    STOPPED = "stopped", "The portal stopped an export"
    REJECTED = "rejected", "Many records are rejected"
    EMPTY = "empty", "Nothing to send"
    LAG = "lag", "A live export lags behind"
    TEST = "test", "A test"


CHOSEN = tuple(kind for kind in Kind if kind is not Kind.TEST)  # what a project may want to hear of


def all_kinds() -> list[str]:
    return [str(kind) for kind in CHOSEN]


class Preferences(models.Model):
    """What a project is notified of, from which limits on, and where to. Without a row the defaults hold."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="notification_preferences")
    kinds = ArrayField(models.CharField(max_length=16), default=all_kinds, blank=True)
    emails = ArrayField(models.EmailField(), default=list, blank=True)
    rejected_percent = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    empty_windows = models.PositiveSmallIntegerField(
        default=3, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    lag_minutes = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(1440)]
    )
    # {"url", "secret"}: the address of many services is a secret itself
    webhook = EncryptedJSONField(default=dict, editable=False)
    webhook_host = models.CharField(max_length=255, default="", editable=False)

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return f"notifications of {self.project}"


class Notification(models.Model):
    """One thing that changed, told once. `topic` tells what it is about: further ones of it wait for a while."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="notifications", db_index=False)
    uid = models.UUIDField(unique=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    topic = models.CharField(max_length=64, default="")
    title = models.CharField(max_length=300)
    text = models.TextField(default="")
    path = models.CharField(max_length=300, default="", help_text="the page to look at, without the host")
    exports = ArrayField(models.BigIntegerField(), default=list)
    created_at = models.DateTimeField()
    request_id = models.CharField(
        max_length=36, default="", db_default="", editable=False, help_text="of the click that made it, as logged"
    )

    class Meta:
        indexes = [
            models.Index(fields=["project", "-id"], name="notifications_of_project"),
            models.Index(fields=["project", "kind", "topic", "-created_at"], name="notifications_by_topic"),
        ]

    def __str__(self) -> str:
        return self.title


class Channel(models.TextChoices):
    MAIL = "mail", "Mail"
    WEBHOOK = "webhook", "Webhook"


class Dispatch(models.Model):
    """One mail or call. It is tried until it got through or GIVE_UP tries failed; then `next_try_at` is empty."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="dispatches")
    channel = models.CharField(max_length=8, choices=Channel.choices)
    recipient = models.CharField(max_length=255, help_text="a mail address, or the host of the webhook")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    last_error = models.TextField(default="")

    class Meta:
        verbose_name_plural = "dispatches"
        constraints = [
            models.CheckConstraint(name="sent_is_tried_no_more", condition=Q(sent_at=None) | Q(next_try_at=None))
        ]
        indexes = [
            models.Index(fields=["next_try_at"], name="dispatches_due", condition=Q(next_try_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.channel} to {self.recipient}"


class Seen(models.Model):
    """Up to which notification of a project somebody has looked."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    last_id = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "seen"
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="seen_once_per_user")]
