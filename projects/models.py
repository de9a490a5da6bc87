"""Users, projects, who belongs to them, and the credentials of their programs."""

import zoneinfo
from datetime import datetime
from typing import ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.timezone import now

# Of events more than an export may reach back (60 local days, and the one that is under way); of the others so many
# that nobody loses by a slip of the hand what somebody looks at today.
LEAST_DAYS = {"events": 62, "rejected": 7, "runs": 30, "audit": 30}


class UserManager(BaseUserManager["User"]):
    """Users are known by their email address, kept in lower case."""

    def create_user(self, email: str, password: str | None = None, **extra: object) -> "User":
        user = self.model(email=email.strip().lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: object) -> "User":
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **extra})

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractUser):
    username = None  # type: ignore[assignment]
    email = models.EmailField(unique=True)
    items_per_page = models.PositiveSmallIntegerField(default=20, help_text="the last choice on the Exports page")

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.email

    @property
    def initials(self) -> str:
        """Two letters for the user menu."""
        name = self.get_full_name() or self.email
        words = [word for word in name.replace("@", " ").replace(".", " ").split() if word]
        return "".join(word[0] for word in words[:2]).upper()


class Project(models.Model):
    """One app's data, time zone, members and credentials (CleverTap: account)."""

    account_id = models.CharField(max_length=32, unique=True, help_text="public id, part of every address")
    name = models.CharField(max_length=120)
    timezone = models.CharField(max_length=64, default="UTC")
    zone_changed = models.BooleanField(default=False, help_text="its exports do not follow the new zone yet")
    created_at = models.DateTimeField(default=now, editable=False)

    keep_events_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="events, profile updates; or for ever"
    )
    keep_rejected_days = models.PositiveIntegerField(null=True, blank=True, help_text="rejected, skipped; or for ever")
    keep_runs_days = models.PositiveIntegerField(null=True, blank=True, help_text="runs that have ended; or for ever")
    keep_audit_days = models.PositiveIntegerField(null=True, blank=True, help_text="history; or for ever")

    class Meta:
        constraints = [
            models.CheckConstraint(  # what a new export may reach back to is there (exports.schedule.MAX_DAYS)
                name="events_are_kept_for_exports",
                condition=models.Q(keep_events_days=None) | models.Q(keep_events_days__gte=LEAST_DAYS["events"]),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def tz(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.timezone)


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    MARKETER = "marketer", "Marketer"
    ADMIN = "admin", "Admin"


class Membership(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} as {self.role}"


class Credential(models.Model):
    """A passcode of the CleverTap API or a token of the REST API: SHA-256 of 256 random bits, shown once."""

    class Kind(models.TextChoices):
        PASSCODE = "passcode", "Passcode"
        API_TOKEN = "api_token", "API token"

    class Access(models.TextChoices):
        FULL = "full", "Full"
        READ_ONLY = "read_only", "Read-only"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="credentials")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    label = models.CharField(max_length=80, default="")
    access = models.CharField(
        max_length=16,
        choices=Access.choices,
        default=Access.FULL,
        help_text="a token may what an admin or a viewer may",
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="to the minute")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="passcodes_have_full_access", condition=models.Q(kind="api_token") | models.Q(access="full")
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ••••{self.last_four}"

    @property
    def role(self) -> Role:
        """The role in its project that a token gives."""
        return Role.VIEWER if self.access == self.Access.READ_ONLY else Role.ADMIN


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self, now: datetime) -> "InvitationQuerySet":
        """Those that somebody may still accept."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=now)


class Invitation(models.Model):
    """A link that makes one person a member, once. Of its token only the SHA-256 is stored."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=16, choices=Role.choices)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"
