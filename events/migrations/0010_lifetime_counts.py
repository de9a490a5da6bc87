import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0009_schema'),
        ('projects', '0005_team'),
    ]

    operations = [
        migrations.CreateModel(
            name='LifetimeCount',
            fields=[
                ('pk', models.CompositePrimaryKey('person', 'name', blank=True, editable=False, primary_key=True, serialize=False)),
                ('person', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='lifetime_counts', to='events.person')),
                ('name', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='events.eventname')),
                ('count', models.BigIntegerField()),
                ('first_seen_at', models.DateTimeField()),
                ('last_seen_at', models.DateTimeField()),
            ],
        ),
        # Most writes change a row that is there: with room on its page the index stays as it is.
        migrations.RunSQL(
            'ALTER TABLE events_lifetimecount SET (fillfactor = 80)', migrations.RunSQL.noop
        ),
        migrations.AddField(
            model_name='rollupposition',
            name='kind',
            field=models.CharField(choices=[('catalogue', 'Catalogue'), ('people', 'People')], default='catalogue', max_length=16),
        ),
        migrations.AlterField(
            model_name='rollupposition',
            name='project',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rollup_positions', to='projects.project'),
        ),
        migrations.AddConstraint(
            model_name='rollupposition',
            constraint=models.UniqueConstraint(fields=('project', 'kind'), name='one_rollup_position_per_kind'),
        ),
    ]
