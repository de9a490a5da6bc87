from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("notifications", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="request_id",
            field=models.CharField(
                db_default="",
                default="",
                editable=False,
                help_text="of the click that made it, as logged",
                max_length=36,
            ),
        ),
    ]
