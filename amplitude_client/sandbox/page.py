"""The page of the sandbox: what arrived, for people."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import orjson

from amplitude_client.sandbox.faults import KINDS, Fault

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #8889; --accent: #1e61f0 }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem } p { margin: .25rem 0 1rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top }
th { font-weight: 600 } td.n, th.n { text-align: right } code { font-size: .85em; overflow-wrap: anywhere }
.mark { border: 1px solid var(--accent); border-radius: 1rem; padding: 0 .5rem; font-size: .8rem }
"""


_REPEAT = ' <span class="mark">repeat</span>'


def render(summary: dict[str, Any], events: Sequence[dict[str, Any]], faults: Sequence[Fault]) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<meta name="viewport" content="width=device-width"><title>Amplitude sandbox</title><style>{_STYLE}</style></head>
<body><h1>Amplitude sandbox</h1>
<p>A local stand-in for Amplitude: nothing leaves this machine. Any API key of 32 hex digits works
(one that begins with “bad” does not), unless keys are registered.</p>
<h2>Arrived</h2>{_projects(summary["projects"])}
<h2>Active faults</h2>{_faults(faults)}
<h2>Newest events</h2>{_events(events)}
</body></html>"""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """The last `numbers` columns are aligned right. Cells are HTML already."""
    first = len(heads) - numbers

    def cells(tag: str, row: Sequence[str]) -> str:
        marks = ['class="n"' if index >= first else "" for index in range(len(row))]
        return "".join(f"<{tag} {mark}>{cell}</{tag}>" for mark, cell in zip(marks, row, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>"


def _projects(projects: Sequence[dict[str, Any]]) -> str:
    if not projects:
        return "<p>Nothing yet.</p>"
    rows = [
        [
            escape(project["region"].title()),
            f"••••{escape(project['key_ending'])}",
            _time(project["last_at"]),
            *(f"{project[name]:,}" for name in ("requests", "received", "accepted_unique", "duplicates")),
        ]
        for project in projects
    ]
    return _table(["Region", "API key", "Last request", "Requests", "Events", "Unique", "Repeats"], rows, 4)


def _faults(faults: Sequence[Fault]) -> str:
    if not faults:
        return "<p>None.</p>"
    rows = [
        [escape(fault.kind), escape(KINDS[fault.kind]), "unlimited" if fault.count is None else str(fault.count)]
        for fault in faults
    ]
    return _table(["Fault", "The sandbox", "Left"], rows, 1)


def _events(events: Sequence[dict[str, Any]]) -> str:
    if not events:
        return "<p>Nothing yet.</p>"
    rows = [
        [
            _time(record["received_at"]),
            escape(record["region"].title()),
            escape(record["event"]["event_type"])
            + (' <span class="mark">repeat</span>' if record["duplicate"] else ""),
            escape(str(record["event"].get("user_id") or record["device_id"])),
            f"<code>{escape(_short(record['event']))}</code>",
        ]
        for record in events
    ]
    return _table(["Received", "Region", "Event", "Who", "Payload"], rows, 0)


def _short(event: dict[str, Any]) -> str:
    text = orjson.dumps(event).decode()
    return text if len(text) <= 300 else text[:300] + "…"


def _time(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")
