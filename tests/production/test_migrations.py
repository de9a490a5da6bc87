"""Migrations run while the old processes still work: none may hold them up for as long as it reads a big table."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddIndex, CreateModel

# Of before the first version, when no table was big.
EARLIER = {
    "events": {"0003_profile_reading", "0006_merged_people"},
    "exports": {"0003_live_runs", "0004_held_by_ids", "0005_resend", "0011_orphaned_shards", "0018_totals"}
    | {"0020_retention"},
}


def test_indexes_of_tables_that_exist_are_built_beside_their_writers() -> None:
    locking = set()
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        made = {operation.name_lower for operation in migration.operations if isinstance(operation, CreateModel)}
        for operation in migration.operations:
            if isinstance(operation, AddIndex) and not isinstance(operation, AddIndexConcurrently):
                locking |= {(app, name)} if operation.model_name_lower not in made else set()
    ours = {(app, name) for app, names in EARLIER.items() for name in names}
    assert {(app, name) for app, name in locking if app not in ("admin", "auth", "axes", "sessions")} == ours
