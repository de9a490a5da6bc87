"""A partner set up in a project."""

from collections.abc import Mapping

from django.db import models
from django.db.models.functions import Lower

from exports_portal.common.encrypted import EncryptedJSONField
from partners.contract import Adapter
from partners.registry import adapter_for, partner_choices
from projects.models import Project, User

NICKNAME_CHARACTERS = 80


class IntegrationQuerySet(models.QuerySet["Integration"]):
    def connected(self) -> "IntegrationQuerySet":
        """Those that have not been disconnected."""
        return self.filter(disconnected_at=None)


class Integration(models.Model):
    """Nickname, settings and credentials for one partner, and whether sending is possible right now.

    `settings` and `secrets` hold what the adapter's fields declare. A disconnected integration stays for its
    exports' history, without its secrets.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="integrations")
    partner = models.CharField(max_length=32, choices=partner_choices)
    nickname = models.CharField(max_length=NICKNAME_CHARACTERS)
    settings = models.JSONField(default=dict)
    secrets = EncryptedJSONField(default=dict)
    key_hint = models.CharField(max_length=4, help_text="last four characters of the key")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    updated_at = models.DateTimeField()
    disconnected_at = models.DateTimeField(null=True)

    tested_at = models.DateTimeField(null=True)
    test_ok = models.BooleanField(null=True)
    test_message = models.TextField(default="")

    setup_fault = models.TextField(default="", help_text="set: nothing is sent until it is mended")
    probe_at = models.DateTimeField(null=True, help_text="when the portal itself looks whether a setup fault is mended")
    recoveries = models.PositiveIntegerField(
        default=0, help_text="setup faults that were over by themselves since the partner last took a record"
    )
    asked_at = models.DateTimeField(null=True, help_text="when a run with nothing to send last asked about the key")
    setup_fault_at = models.DateTimeField(null=True)
    paused_until = models.DateTimeField(null=True, help_text="the partner asked us to leave it alone until then")

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "project", Lower("nickname"), name="one_nickname_per_project", condition=models.Q(disconnected_at=None)
            ),
        ]

    def __str__(self) -> str:
        return self.nickname

    @property
    def adapter(self) -> Adapter:
        return adapter_for(self.partner)

    @property
    def residency_label(self) -> str:
        return self.residency_in(self.settings)

    def residency_in(self, settings: Mapping[str, str]) -> str:
        """The data residency by settings that it has or had, for people."""
        return self.adapter.choice_label("data_residency", settings.get("data_residency", ""))
