from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("partners", "0003_asked_at")]
    operations = [
        migrations.AddField(
            "integration",
            "recoveries",
            models.PositiveIntegerField(
                default=0, help_text="setup faults that were over by themselves since the partner last took a record"
            ),
        )
    ]
