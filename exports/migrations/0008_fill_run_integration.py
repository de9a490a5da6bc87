from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("exports", "0007_run_integration")]

    operations = [
        migrations.RunSQL(
            "UPDATE exports_run r SET integration_id = e.integration_id FROM exports_export e WHERE e.id = r.export_id",
            migrations.RunSQL.noop,
        )
    ]
