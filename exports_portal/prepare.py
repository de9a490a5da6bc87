"""What must stand before the portal's processes start: system checks, migrations, and a first login.

The supervisor runs this as one child, because each start of Django costs a second. Its last line is JSON:
`{"email", "password", "database"}`, the last one a name that no other database has.
"""

import io
import json
import os
import sys

import django
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from environs.exceptions import EnvValidationError

from exports_portal.runtime import one_sided_urls


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")
    try:
        django.setup()
    except EnvValidationError as error:
        sys.exit(f"{error} Mend it, or unset it.")
    call_command("check")
    if warning := one_sided_urls():  # make run, whose demo has a sandbox, says it by itself
        sys.stderr.write(f"Warning: {warning}\n")
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=1, interactive=False)
    sys.stdout.write(json.dumps({**first_login(), "database": database_identity()}) + "\n")


def first_login() -> dict[str, str | None]:
    """What `ensure_first_login --json` says: email and password, None once its owner has chosen another."""
    out = io.StringIO()
    call_command("ensure_first_login", json=True, stdout=out)
    login: dict[str, str | None] = json.loads(out.getvalue())
    return login


def database_identity() -> str:
    """The cluster's identifier and the database's number in it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT system_identifier || '.' || oid FROM pg_control_system(), pg_database "
            "WHERE datname = current_database()"
        )
        (identity,) = cursor.fetchone()
    return str(identity)


if __name__ == "__main__":
    main()
