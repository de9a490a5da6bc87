"""manage.py check_ledger: recount runs from the event log."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports import ledger_check
from exports.models import Run


class Command(BaseCommand):
    help = "Recounts runs from the event log and says what differs from their counts; exit 1 if anything does."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--run", type=int, metavar="ID", help="only this run")
        parser.add_argument("--json", action="store_true", help="one JSON object for machines")

    def handle(self, *args: Any, run: int | None, json: bool, **options: Any) -> None:
        if run is not None and not Run.objects.filter(pk=run).exists():
            raise CommandError(f"There is no run {run}.")
        with ledger_check.one_snapshot():
            reports = list(ledger_check.check(run_id=run))
        (self._print_json if json else self._print)(reports)
        if any(report.differences for report in reports):
            raise SystemExit(1)

    def _print_json(self, reports: list[ledger_check.Report]) -> None:
        different = sum(bool(report.differences) for report in reports)
        summary = {"runs": len(reports), "different": different, "reports": list(map(ledger_check.as_dict, reports))}
        self.stdout.write(json.dumps(summary))

    def _print(self, reports: list[ledger_check.Report]) -> None:
        for report in reports:
            for difference in report.differences:
                self.stdout.write(f"run {report.run_id} of export {report.export_id}, {report.status}: {difference}")
        different = sum(bool(report.differences) for report in reports)
        read = sum(report.read for report in reports)
        purged = [report for report in reports if report.is_purged]
        verdict = f"{different:,} of them differ" if different else "all of them agree with the log"
        self.stdout.write(f"{len(reports):,} runs, {read:,} records read: {verdict}.")
        if purged:
            left = sum(min(report.read, report.counted) for report in purged)
            self.stdout.write(
                f"{len(purged):,} of them reach back to before what the project keeps: {left:,} of their "
                f"{sum(report.read for report in purged):,} records are still in the log."
            )
