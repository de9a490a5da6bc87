from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # old processes write the log while an upgrade runs: concurrently no act waits

    dependencies = [("common", "0004_audit_address")]
    operations = [
        AddIndexConcurrently("auditentry", models.Index(fields=["project_id", *columns, "at", "id"], name=name))
        for name, columns in (("audit_by_time", []), ("audit_by_actor", ["actor"]), ("audit_by_action", ["action"]))
    ]
