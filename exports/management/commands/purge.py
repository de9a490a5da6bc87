"""manage.py purge: delete now what projects keep no longer."""

import json
from argparse import ArgumentParser
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events import positions
from exports import retention
from projects.models import Project


class Command(BaseCommand):
    help = "Deletes what the projects keep no longer (Settings > Project), in small steps, beside the workers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", metavar="ACCOUNT_ID", help="only this project")
        parser.add_argument("--json", action="store_true", help="one JSON object for machines")

    def handle(self, *args: Any, project: str | None, json: bool, **options: Any) -> None:
        if positions.is_restored_dump():
            raise CommandError(str(positions.RestoredDump()))
        projects = list(Project.objects.order_by("pk"))
        if project is not None:
            projects = [one for one in projects if one.account_id == project]
            if not projects:
                raise CommandError(f"There is no project {project}.")
        purged = retention.purge(now=datetime.now(UTC), projects=projects)
        (self._print_json if json else self._print)({one: purged.counts.get(one, Counter()) for one in projects})

    def _print_json(self, counts: dict[Project, Counter[str]]) -> None:
        self.stdout.write(json.dumps({project.account_id: dict(found) for project, found in counts.items()}))

    def _print(self, counts: dict[Project, Counter[str]]) -> None:
        for project, found in counts.items():
            deleted = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in found.items())
            self.stdout.write(f"{project.account_id}  {project.name}: {deleted or 'nothing to delete'}")
