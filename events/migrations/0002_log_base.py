"""Tie the log's positions to this PostgreSQL cluster (see events.models.LogBase)."""

from django.db import migrations

INSERT = """
INSERT INTO events_logbase (id, base, system_identifier)
SELECT 1, 0, system_identifier FROM pg_control_system();
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]
    operations = [migrations.RunSQL(INSERT, "DELETE FROM events_logbase")]
