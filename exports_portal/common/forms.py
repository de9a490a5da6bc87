"""Forms only validate and convert; the rules stand in the verbs. This brings their answers back to the fields."""

from collections.abc import Callable
from typing import Any

from django import forms

from exports_portal.common.errors import Invalid


class CardSelect(forms.RadioSelect):
    """Choices as cards. `hints` maps a value to the line under its label."""

    template_name = "components/choice_cards.html"

    def __init__(self, *args: Any, hints: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hints = hints or {}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        return {**option, "hint": self.hints.get(str(value), "")}


class DateInput(forms.DateInput):
    """A native date field, which wants ISO dates."""

    input_type = "date"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%d")


def add_errors(form: forms.BaseForm, error: Invalid) -> None:
    """Show what a verb said at the fields that it speaks of; what has no field stands above all."""
    for name, messages in error.errors.items():
        for message in messages:
            form.add_error(name if name in form.fields else None, message)


def accepts(form: forms.BaseForm, act: Callable[[], Any]) -> bool:
    """Whether the form is valid and the verb took it; if not, the form says why."""
    if not form.is_valid():
        return False
    try:
        act()
    except Invalid as error:
        add_errors(form, error)
        return False
    return True
