"""The forms of the page Notifications. They only convert; the rules stand in notifications.actions."""

from typing import Any

from django import forms

from notifications.models import CHOSEN, Kind
from notifications.webhook import URL_CHARACTERS


class EmailsField(forms.CharField):
    """One address per line."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        return [line.strip() for line in (super().clean(value) or "").splitlines() if line.strip()]


class PreferencesForm(forms.Form):
    kinds = forms.MultipleChoiceField(
        label="Notify of",
        choices=[(kind.value, kind.label) for kind in CHOSEN],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    rejected_percent = forms.IntegerField(label=f"{Kind.REJECTED.label}: more than this share of them, in percent")
    empty_windows = forms.IntegerField(label=f"{Kind.EMPTY.label}: after so many empty windows in a row")
    lag_minutes = forms.IntegerField(label=f"{Kind.LAG.label}: by more than so many minutes")
    emails = EmailsField(label="Mail to", required=False, help_text="One address per line.")


class WebhookForm(forms.Form):
    url = forms.CharField(
        label="Address",
        required=False,
        max_length=URL_CHARACTERS,
        widget=forms.TextInput(
            attrs={"placeholder": "https://…", "autocomplete": "off", "spellcheck": "false", "data-first": True}
        ),
        help_text="Each notification is sent to it as JSON, signed with a secret that you get next.",
    )
