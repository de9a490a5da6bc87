"""manage.py ensure_first_login [--json]: the login that `make run` prints."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from exports_portal.common.audit import Actor
from projects.actions import ensure_first_login

LETTERS = "abcdefghjkmnpqrstvwxyz23456789"


class Command(BaseCommand):
    help = "Make the first login if it is missing, and print it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help='print {"email", "password"}; null: the user has chosen another'
        )

    def handle(self, **options: Any) -> None:
        password = kept_password(Path(settings.PORTAL_DATA_DIR) / "keys" / "first_login")
        by = Actor(None, "manage.py ensure_first_login")
        user, opens = ensure_first_login(password=password, by=by, now=timezone.now())
        shown = {"email": user.email, "password": password if opens else None}
        line = f"{user.email}  {password if opens else '(the password that you chose)'}"
        self.stdout.write(json.dumps(shown) if options["json"] else line)


def kept_password(path: Path) -> str:
    """The password in the data folder, made on the first call; readable by its owner only."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
    return path.read_text().strip()
