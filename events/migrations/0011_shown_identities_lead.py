from django.db import migrations

# Who is shown under FBID or GPID, for want of an identity, is found by it as by any identity.
LEAD = """
INSERT INTO events_identifier (project_id, kind, value, person_id)
SELECT i.project_id, 'identity', i.value, i.person_id
  FROM events_identifier i JOIN events_person p ON p.id = i.person_id
 WHERE i.kind IN ('fbid', 'gpid') AND i.value = p.identity
 ORDER BY i.person_id, i.kind
    ON CONFLICT (project_id, kind, value) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0010_lifetime_counts")]

    operations = [migrations.RunSQL(LEAD, migrations.RunSQL.noop)]
