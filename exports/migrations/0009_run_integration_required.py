import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("exports", "0008_fill_run_integration")]

    operations = [
        migrations.AlterField(
            model_name="run",
            name="integration",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="runs",
                to="partners.integration",
                help_text="that of the export when it was created",
            ),
        ),
    ]
