from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    """People keep being written while it runs: a project may have millions."""

    atomic = False
    dependencies = [("events", "0003_profile_reading")]

    operations = [
        AddIndexConcurrently(
            model_name="person",
            index=models.Index(
                "project", Upper("email"), name="people_by_email", condition=models.Q(email__isnull=False)
            ),
        ),
        AddIndexConcurrently(
            model_name="person",
            index=models.Index(
                fields=["project", "phone"], name="people_by_phone", condition=models.Q(phone__isnull=False)
            ),
        ),
    ]
