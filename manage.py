#!/usr/bin/env python
"""Django's command line for the portal."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, connection

    try:
        execute_from_command_line(sys.argv)
    except OperationalError:
        connection.close()
        try:
            connection.ensure_connection()
        except OperationalError as error:
            sys.exit(not_running(error))
        raise  # the database answers: the fault is another one


def not_running(error: Exception) -> str:
    """One sentence for people instead of a traceback."""
    if os.environ.get("DATABASE_URL"):
        reason = str(error).strip().splitlines()[0]
        return f"The database of DATABASE_URL does not answer: {reason}. Start it, or mend DATABASE_URL."
    return "The portal is not running. Start it with: make run"


if __name__ == "__main__":
    main()
