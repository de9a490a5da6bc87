from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0002_log_base")]

    operations = [
        migrations.AddField(
            model_name="person",
            name="tx_id",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="position of the transaction that made them"
            ),
        ),
        migrations.AddIndex(
            model_name="profilechange",
            index=models.Index(fields=["project", "received_at", "id"], name="changes_by_time"),
        ),
    ]
