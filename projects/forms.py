"""Forms of the project's own pages."""

from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html

from exports_portal.common.forms import CardSelect
from projects.models import LEAST_DAYS, Credential, Role
from projects.retention import field_of
from projects.zones import zone_names

KIND_HINTS = {
    Credential.Kind.PASSCODE: "for programs that send events",
    Credential.Kind.API_TOKEN: "for programs that manage exports",
}


ACCESS_HINTS = {
    Credential.Access.FULL: "what an admin may",
    Credential.Access.READ_ONLY: "API tokens only: sees, changes nothing",
}
ROLE_HINTS = {
    str(Role.VIEWER): "sees events, profiles, integrations and exports",
    str(Role.MARKETER): "also creates, edits and stops exports",
    str(Role.ADMIN): "also integrations, credentials, the project and its team",
}


def days_field(label: str, since: str) -> forms.IntegerField:
    """For how many days something is kept; empty: for ever."""
    return forms.IntegerField(
        label=label,
        required=False,
        widget=forms.NumberInput(attrs={"placeholder": "for ever", "min": 1}),
        error_messages={"invalid": "Enter a whole number of days, or nothing."},
        help_text=f"Days {since}.",
    )


class ProjectForm(forms.Form):
    name = forms.CharField(label="Project name", required=False)
    timezone = forms.ChoiceField(
        label="Time zone",
        choices=lambda: [(name, name) for name in zone_names()],
        help_text="Days and recurring exports start at 12:00 a.m. in this zone. Runs that exist keep their windows.",
    )
    keep_events_days = days_field("Events and profile updates", "after they were received")
    keep_rejected_days = days_field("Rejected and skipped records", "after their run ended")
    keep_runs_days = days_field("Runs", "after they ended; an export’s last run and its counts stay")
    keep_audit_days = days_field("Audit log", "after the act")

    @property
    def retention_fields(self) -> list[forms.BoundField]:
        return [field for field in self if field.name.startswith("keep_")]

    def cleaned_retention(self) -> dict[str, int | None]:
        """By the names of `Retention`."""
        return {name: self.cleaned_data[field_of(name)] for name in LEAST_DAYS}


class InviteForm(forms.Form):
    email = forms.EmailField(label="Email address")
    role = forms.ChoiceField(
        label="Role", choices=Role.choices, initial=Role.MARKETER, widget=CardSelect(hints=ROLE_HINTS)
    )


class RoleForm(forms.Form):
    role = forms.ChoiceField(label="Role", choices=Role.choices, widget=CardSelect(hints=ROLE_HINTS))


class NewPasswordForm(forms.Form):
    """For somebody who is invited and has no account yet."""

    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=password_validators_help_text_html(),
    )
    again = forms.CharField(
        label="The same password again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_again(self) -> str:
        if self.cleaned_data["again"] != self.cleaned_data.get("password"):
            raise forms.ValidationError("The two passwords differ.")
        return str(self.cleaned_data["again"])


class CredentialForm(forms.Form):
    kind = forms.ChoiceField(
        label="Kind",
        choices=Credential.Kind.choices,
        initial=Credential.Kind.PASSCODE,
        widget=CardSelect(hints={str(kind): hint for kind, hint in KIND_HINTS.items()}),
    )
    access = forms.ChoiceField(
        label="Access",
        choices=Credential.Access.choices,
        initial=Credential.Access.FULL,
        required=False,
        widget=CardSelect(hints={str(access): hint for access, hint in ACCESS_HINTS.items()}),
    )
    label = forms.CharField(
        label="Label", required=False, help_text="Which program uses it, for example “Shop backend”."
    )
