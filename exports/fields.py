"""What the panel's form is made of: fields and widgets of its own."""

from typing import Any
from uuid import uuid4

from django import forms

from exports.spec import IDENTIFIERS

IDENTIFIER_LABELS = {"identity": "Identity", "email": "Email", "phone": "Phone"}


class PriorityInput(forms.MultiWidget):
    """First, second and third choice; the later ones may be left out."""

    template_name = "components/priority.html"
    use_fieldset = True

    def __init__(self) -> None:
        names = ("First identifier", "Second identifier", "Third identifier")
        choices = [(name, IDENTIFIER_LABELS[name]) for name in IDENTIFIERS]
        selects = [
            forms.Select(choices=choices if not place else [("", "none"), *choices], attrs={"aria-label": label})
            for place, label in enumerate(names)
        ]
        super().__init__(selects)

    def decompress(self, value: Any) -> list[str]:
        return [*(value or ()), "", "", ""][:3]


class PriorityField(forms.Field):
    widget = PriorityInput

    def clean(self, value: Any) -> tuple[str, ...]:
        return tuple(name for name in value or () if name)


class LinesField(forms.CharField):
    """One name per line."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> tuple[str, ...]:
        return tuple(line.strip() for line in (super().clean(value) or "").splitlines() if line.strip())


class SubmissionForm(forms.Form):
    """Tells a form that was sent twice, as by a double click without a script, from two forms."""

    submission = forms.UUIDField(required=False, initial=uuid4, widget=forms.HiddenInput)
