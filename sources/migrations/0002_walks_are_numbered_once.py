from django.db import migrations, models

# Until now `met` counted what was refused, too, and walks began again at 1 after five of them.
CAP_MET = "UPDATE sources_imported SET met = captured WHERE met > captured"
GO_ON = """
UPDATE sources_pull p SET walk = greatest(p.walk, i.walk)
  FROM (SELECT pull_id, max(walk) AS walk FROM sources_imported GROUP BY pull_id) AS i
 WHERE i.pull_id = p.id AND p.cursor = ''
"""


class Migration(migrations.Migration):
    dependencies = [("projects", "0003_zone_changed"), ("sources", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="pull",
            name="deaths",
            field=models.IntegerField(default=0, help_text="of cursors, since it was done last"),
        ),
        migrations.AlterField(
            model_name="pull",
            name="walk",
            field=models.IntegerField(default=0, help_text="how often it was begun; never the same number twice"),
        ),
        migrations.RunSQL(CAP_MET, migrations.RunSQL.noop),
        migrations.RunSQL(GO_ON, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="imported",
            constraint=models.CheckConstraint(
                condition=models.Q(met__gte=0) & models.Q(met__lte=models.F("captured")), name="met_what_was_captured"
            ),
        ),
    ]
