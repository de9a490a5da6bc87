"""The Integrate panel, made from the fields that an adapter declares."""

from typing import Any

from django import forms

from exports_portal.common.forms import CardSelect
from partners.contract import Adapter, Field
from partners.models import NICKNAME_CHARACTERS, Integration


class IntegrationForm(forms.Form):
    """Nickname and the adapter's fields. The rules stand in partners.actions."""

    nickname = forms.CharField(
        label="Partner Nickname",
        required=False,
        widget=forms.TextInput(attrs={"data-first": True, "maxlength": NICKNAME_CHARACTERS}),
    )

    def __init__(self, *args: Any, adapter: Adapter, integration: Integration | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.adapter = adapter
        for spec in adapter.fields:
            self.fields[spec.name] = _secret(spec, integration) if spec.secret else _plain(spec)
        if integration is not None:
            self.initial = {"nickname": integration.nickname, **integration.settings}

    def values(self) -> dict[str, str]:
        """What stands in the adapter's fields, by name."""
        return {spec.name: self.cleaned_data[spec.name] for spec in self.adapter.fields}

    @property
    def wide(self) -> list[forms.BoundField]:
        """Fields with a row of their own."""
        return [self["nickname"], *(self[spec.name] for spec in self.adapter.fields if not _is_select(spec))]

    @property
    def half(self) -> list[forms.BoundField]:
        """Selects, which share a row."""
        return [self[spec.name] for spec in self.adapter.fields if _is_select(spec)]


def _is_select(spec: Field) -> bool:
    return bool(spec.choices) and not spec.as_cards


def _secret(spec: Field, integration: Integration | None) -> forms.Field:
    """Write-only: never rendered back. htmx keeps the field as it stands, so what was typed survives an error."""
    attrs = {"autocomplete": "off", "spellcheck": "false", "hx-preserve": "true"}
    hint = spec.hint
    if integration is not None:
        attrs["placeholder"] = f"••••••••••••••••{integration.key_hint}"
        hint = f"Leave it empty to keep the {spec.label}. {spec.hint}"
    widget = forms.PasswordInput(attrs=attrs, render_value=False)
    return forms.CharField(label=spec.label, help_text=hint, required=False, strip=False, widget=widget)


def _plain(spec: Field) -> forms.Field:
    choices = [(choice.value, choice.label) for choice in spec.choices]
    widget: Any = forms.Select
    if spec.as_cards:
        widget = CardSelect(hints={choice.value: choice.hint for choice in spec.choices})
    if not choices:
        return forms.CharField(label=spec.label, help_text=spec.hint, initial=spec.default, required=False)
    return forms.ChoiceField(
        label=spec.label, help_text=spec.hint, choices=choices, initial=spec.default, required=False, widget=widget
    )
