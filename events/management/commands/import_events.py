import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from events.imports import Summary, import_file
from events.positions import RestoredDump
from projects.models import Project


class Command(BaseCommand):
    help = (
        "Imports upload records from a file: JSON Lines (one record a line) or CSV (.csv) with the header "
        "type,identity,objectId,evtName,ts,evtData.<name>…, both also as .gz. Bad lines are named and left out; "
        "then the exit status is 1."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--project", required=True, help="account id")
        parser.add_argument(
            "--captured-at-event-time",
            action="store_true",
            help="count each event as received when it happened, so that recurring exports find it in the past",
        )
        parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(account_id=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project with the account id {options['project']}.")
        summary = self._import(options["file"], project, captured_at_event_time=options["captured_at_event_time"])
        for bad in summary.errors:
            self.stderr.write(f"line {bad.line}: {bad.error} (code {bad.code})")
        if summary.refused > len(summary.errors):
            self.stderr.write(f"… and {summary.refused - len(summary.errors)} more refused lines")
        self.stdout.write(json.dumps(summary.as_dict()) if options["json"] else _in_words(summary))
        if summary.stopped:
            raise CommandError(summary.stopped)
        if summary.refused:
            sys.exit(1)

    def _import(self, path: Path, project: Project, *, captured_at_event_time: bool) -> Summary:
        size = path.stat().st_size if path.is_file() else 0
        with tqdm(total=size, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:

            def progress(read: int, summary: Summary) -> None:
                bar.update(min(read, size) - bar.n)
                bar.set_postfix(records=summary.lines, refused=summary.refused)

            try:
                return import_file(
                    path,
                    project=project,
                    clock=lambda: datetime.now(UTC),
                    captured_at_event_time=captured_at_event_time,
                    progress=progress,
                )
            except RestoredDump as error:
                raise CommandError(str(error)) from None


def _in_words(summary: Summary) -> str:
    return f"{summary.lines} records: {summary.processed} imported, {summary.refused} refused."
