"""Importing a file of upload records through `ingest`, the only writer: in steps, line by line, to the end."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import connection

from events.import_files import BadFile, Line, opened, read_lines
from events.ingest import ingest
from events.refusals import Refusal
from projects.models import Project

STEP_RECORDS = 1_000  # one transaction each, well under a second
SHOWN = 100


@dataclass(frozen=True)
class BadLine:
    line: int
    code: int
    error: str


@dataclass
class Summary:
    """lines: records found. errors: the first SHOWN refused lines. stopped: why the file was not read to its end."""

    lines: int = 0
    processed: int = 0
    refused: int = 0
    errors: list[BadLine] = field(default_factory=list)
    stopped: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def import_file(
    path: Path,
    *,
    project: Project,
    clock: Callable[[], datetime],
    captured_at_event_time: bool = False,
    progress: Callable[[int, Summary], None] = lambda read, summary: None,
) -> Summary:
    """Import every good line; the bad ones are in the summary. `progress` is told the bytes read, after each step.

    A line's uid comes from its place and its text, unless it brings one: importing a file again gives the same uids,
    so Amplitude drops the repeats, for 7 days.
    """
    summary = Summary()
    try:
        with opened(path) as (text, file):
            for step in _steps(read_lines(path, text)):
                _import(step, project, clock(), captured_at_event_time, summary)
                progress(file.tell(), summary)
    except BadFile as error:
        summary.stopped = str(error)
    if summary.processed > 10 * STEP_RECORDS:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE events_event")  # the planner would learn of the new rows minutes later
    return summary


def _steps(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Lines in steps; when reading breaks off, what was read before is a step too."""
    while True:
        step: list[Line] = []
        try:
            for line in islice(lines, STEP_RECORDS):
                step.append(line)  # extend would lose what was read before an error
        except Exception:
            if step:
                yield step
            raise
        if not step:
            return
        yield step


def _import(step: list[Line], project: Project, now: datetime, captured_at_event_time: bool, summary: Summary) -> None:
    good: list[Line] = []
    bad: list[BadLine] = []
    for line in step:
        if isinstance(line.record, Refusal):
            bad.append(BadLine(line.number, line.record.code, line.record.error))
        else:
            good.append(line)
    records = [_with_uid(line, project) for line in good]
    result = ingest(project=project, records=records, now=now, captured_at_event_time=captured_at_event_time)
    bad += [BadLine(good[refused.index].number, refused.code, refused.error) for refused in result.refused]
    summary.lines += len(step)
    summary.processed += result.processed
    summary.refused += len(bad)
    summary.errors += sorted(bad, key=lambda one: one.line)[: SHOWN - len(summary.errors)]


def _with_uid(line: Line, project: Project) -> Any:
    if not isinstance(line.record, dict) or line.record.get("uid"):
        return line.record
    digest = hashlib.sha256(b"%s\n%d\n%s" % (project.account_id.encode(), line.number, line.raw)).digest()
    return {**line.record, "uid": str(uuid.UUID(bytes=digest[:16], version=5))}
