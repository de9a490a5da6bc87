from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("exports", "0016_submissions")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="request_id",
            field=models.CharField(
                db_default="",
                default="",
                editable=False,
                help_text="of the click that set it going, as logged",
                max_length=36,
            ),
        ),
    ]
