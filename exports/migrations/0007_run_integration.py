import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("exports", "0006_sent_again"), ("partners", "0002_probe_at")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="integration",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="runs",
                to="partners.integration",
                help_text="that of the export when it was created",
            ),
        ),
    ]
