"""manage.py rotate_keys: encrypt every stored secret anew with the first of PORTAL_ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports_portal.common import words
from exports_portal.common.encrypted import rotate


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret anew with the first of PORTAL_ENCRYPTION_KEYS. Put the new key in front of the "
        "old ones, restart the portal, run this, then take the old keys out. Exit code 1 if a secret could not be read."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotate()
        self.stdout.write(
            f"{words.counted(done.changed, 'secret')} encrypted anew; "
            f"{words.counted(done.fresh, 'secret')} had the newest key already."
        )
        if done.unreadable:
            raise CommandError(
                f"No key of PORTAL_ENCRYPTION_KEYS opens: {', '.join(done.unreadable)}. Put the key back that "
                "encrypted them, or enter these secrets anew. Keep the old keys until then."
            )
        self.stdout.write("The first key opens everything: the others may be taken out of PORTAL_ENCRYPTION_KEYS.")
