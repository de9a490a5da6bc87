"""Forms of the project's own pages."""

from django import forms

from exports_portal.common.forms import CardSelect
from projects.models import Credential
from projects.zones import zone_names

KIND_HINTS = {
    Credential.Kind.PASSCODE: "for programs that send events",
    Credential.Kind.API_TOKEN: "for programs that manage exports",
}


class ProjectForm(forms.Form):
    name = forms.CharField(label="Project name", required=False)
    timezone = forms.ChoiceField(
        label="Time zone",
        choices=lambda: [(name, name) for name in zone_names()],
        help_text="Days and recurring exports start at 12:00 a.m. in this zone. Runs that exist keep their windows.",
    )


class CredentialForm(forms.Form):
    kind = forms.ChoiceField(
        label="Kind",
        choices=Credential.Kind.choices,
        initial=Credential.Kind.PASSCODE,
        widget=CardSelect(hints={str(kind): hint for kind, hint in KIND_HINTS.items()}),
    )
    label = forms.CharField(
        label="Label", required=False, help_text="Which program uses it, for example “Shop backend”."
    )
