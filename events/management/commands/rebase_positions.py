from typing import Any

from django.core.management.base import BaseCommand

from events import positions


class Command(BaseCommand):
    help = "After a dump was restored into another PostgreSQL cluster: lets capture and delivery go on."

    def handle(self, *args: Any, **options: Any) -> None:
        base = positions.rebase()
        if base is None:
            self.stdout.write("Nothing to do: the log belongs to this PostgreSQL cluster.")
        else:
            self.stdout.write(f"Done: new events get positions above {base}. Capture and delivery go on.")
