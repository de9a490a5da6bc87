"""The form of a source: it validates and converts; the rules stand in the verbs."""

from typing import Any

from django import forms

from exports_portal.common.forms import DateInput
from projects.zones import zone_names
from sources.clevertap import REGIONS
from sources.models import Source


class SourceForm(forms.Form):
    account_id = forms.CharField(
        label="Account ID",
        required=False,
        widget=forms.TextInput(attrs={"data-first": True}),
        help_text="CleverTap shows it under Settings > Project.",
    )
    passcode = forms.CharField(
        label="Passcode",
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Kept encrypted, and never shown again.",
    )
    region = forms.ChoiceField(label="Region", choices=[(name, region.label) for name, region in REGIONS.items()])
    timezone = forms.ChoiceField(
        label="Time zone of the account",
        choices=lambda: [(name, name) for name in zone_names()],
        help_text="CleverTap does not tell it, and its times are local ones: choose the zone in its settings.",
    )
    events = forms.CharField(
        label="Events",
        required=False,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="One name on each line, as CleverTap spells it. Notification events are not offered by its API.",
    )
    date_from = forms.DateField(label="From", required=False, widget=DateInput)
    date_to = forms.DateField(
        label="To", required=False, widget=DateInput, help_text="Leave it empty to import every new day, too."
    )

    def __init__(self, *args: Any, source: Source | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if source is not None:
            del self.fields["account_id"]
            self.fields["region"].widget.attrs["data-first"] = True
            present = f"one that ends in {source.passcode_hint}" if source.passcode_hint else "present one"
            self.fields["passcode"].help_text = f"Leave it empty to keep the {present}."

    def clean_events(self) -> list[str]:
        return self.cleaned_data["events"].splitlines()
