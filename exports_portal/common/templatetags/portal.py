"""What templates need beside Django's own tags: moments, numbers, status pills, JSON."""

import json
from datetime import datetime
from typing import Any

import orjson
from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exports_portal.common import words

register = template.Library()


@register.filter
def number(value: int | None) -> str:
    """Grouped by thousands: 1,284,340."""
    return f"{value or 0:,}"


@register.filter
def moment(value: datetime) -> SafeString:
    """Day and time in the project's zone, to the second on hover."""
    return _time(value, words.on(value))


@register.filter
def ago(value: datetime) -> SafeString:
    """Relative to now, with the exact time on hover."""
    return _time(value, words.relative(value, now=timezone.now()))


@register.filter
def json_lines(value: Any) -> str:
    """JSON, indented, for a <pre>."""
    return json.dumps(value, ensure_ascii=False, indent=2)  # orjson takes no integer beyond 64 bits


@register.filter
def json_text_lines(text: str) -> str:
    """The same of JSON that is text; as it stands where it is none."""
    try:
        return json_lines(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


@register.filter
def json_line(value: Any) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@register.inclusion_tag("components/status.html")
def status(value: str) -> dict[str, str]:
    """The pill of an export's or run's status."""
    return {"label": value, "kind": value.lower()}


def _time(value: datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), words.exact(value), text)
