"""manage.py create_project NAME --timezone TZ [--json]"""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid
from projects.actions import create_project


class Command(BaseCommand):
    help = "Create a project and print its account id, passcode and API token. They are shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--timezone", default="UTC", help="an IANA name such as Asia/Kolkata")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        by = Actor(None, "manage.py create_project")
        try:
            new = create_project(name=options["name"], timezone=options["timezone"], by=by, now=timezone.now())
        except Invalid as error:
            raise CommandError(error.sentence) from error
        shown = {"account_id": new.project.account_id, "passcode": new.passcode, "api_token": new.api_token}
        lines = "\n".join(f"{key:<10}  {value}" for key, value in shown.items())
        self.stdout.write(json.dumps(shown) if options["json"] else lines)
