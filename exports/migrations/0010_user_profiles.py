import uuid

from django.contrib.postgres.functions import RandomUUID
from django.db import migrations, models
from django.db.models import F, Q


def _record_id(model):
    field = models.BigIntegerField(help_text="id in the log that its run reads")
    return migrations.AlterField(model_name=model, name="record_id", field=field)


class Migration(migrations.Migration):
    """What exports of user profiles need: people as a third order of reading, and no days and events."""

    dependencies = [("exports", "0009_run_integration_required")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="uid",
            field=models.UUIDField(
                default=uuid.uuid4,
                db_default=RandomUUID(),
                editable=False,
                help_text="namespace of the insert_ids of people",
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="axis",
            field=models.CharField(
                choices=[
                    ("position", "by (tx_id, id)"),
                    ("time", "by (occurred_at, id)"),
                    ("person", "people by id"),
                ],
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="until_tx_id",
            field=models.BigIntegerField(
                help_text="exclusive: the horizon, the ceiling of a one-time run; none while a live run is open",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="window_start",
            field=models.DateTimeField(help_text="the rule on the time axis, a help for readers on the others"),
        ),
        *(_record_id(model) for model in ("held", "rejected", "skipped")),
        migrations.AlterField(
            model_name="export",
            name="date_from",
            field=models.DateField(help_text="one time, events: first local day, inclusive", null=True),
        ),
        migrations.AlterField(
            model_name="export",
            name="date_to",
            field=models.DateField(help_text="one time, events: last local day, inclusive", null=True),
        ),
        migrations.RemoveConstraint(model_name="export", name="one_time_has_dates"),
        migrations.AddConstraint(
            model_name="export",
            constraint=models.CheckConstraint(
                name="one_time_events_have_dates",
                condition=~Q(frequency="one_time", type="events")
                | Q(date_from__isnull=False, date_to__gte=F("date_from")),
            ),
        ),
        migrations.AddConstraint(
            model_name="export",
            constraint=models.CheckConstraint(
                name="profiles_have_no_events_nor_dates",
                condition=Q(type="events")
                | Q(events="all", selected_events__len=0, date_from__isnull=True, date_to__isnull=True),
            ),
        ),
    ]
