from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """The new index before the old one goes; exports are written meanwhile, as there may be very many."""

    atomic = False
    dependencies = [("exports", "0012_hours_of_live_runs")]

    operations = [
        AddIndexConcurrently(
            model_name="export",
            index=models.Index(
                fields=["project", "-exported_on", "-id"],
                name="exports_for_lists",
                include=["status", "type", "frequency", "integration", "name"],
            ),
        ),
        RemoveIndexConcurrently(model_name="export", name="exports_newest_first"),
    ]
