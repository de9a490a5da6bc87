import sys
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from events.demo.load import load


class Command(BaseCommand):
    help = "Loads a made-up shop app: about 200,000 events of 5,000 people over 60 days. Does nothing the second time."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--events", type=int, default=200_000)
        parser.add_argument("--people", type=int, default=5_000)
        parser.add_argument("--days", type=int, default=60)

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = {name: options[name] for name in ("seed", "events", "people", "days")}
        with tqdm(total=chosen["events"], unit=" records", disable=not sys.stderr.isatty()) as bar:
            project = load(**chosen, now=datetime.now(UTC), progress=bar.update)
        if project is None:
            self.stdout.write("The demo project is there already.")
        else:
            self.stdout.write(f"Loaded the demo project {project.name}, account id {project.account_id}.")
