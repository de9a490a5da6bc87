import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q

FIELD = migrations.AlterField(
    model_name="run",
    name="export",
    field=models.ForeignKey(
        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="runs", to="exports.export"
    ),
)


class Migration(migrations.Migration):
    """The new index before the foreign key's own goes; runs are written meanwhile, as there may be millions.

    Django by itself would drop every index that has this column alone, the constraint one_reading_run among them.
    """

    atomic = False
    dependencies = [("exports", "0013_exports_for_lists")]

    operations = [
        AddIndexConcurrently(model_name="run", index=models.Index(fields=["export", "id"], name="runs_of_export")),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                fields=["id"], name="active_runs", condition=Q(status__in=("PENDING", "RUNNING"))
            ),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[FIELD],
            database_operations=[
                migrations.RunSQL(
                    "DROP INDEX CONCURRENTLY IF EXISTS exports_run_export_id_806a2a0c",
                    "CREATE INDEX CONCURRENTLY exports_run_export_id_806a2a0c ON exports_run (export_id)",
                )
            ],
        ),
    ]
