from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("common", "0004_audit_address")]
    operations = [
        migrations.AddIndex("auditentry", models.Index(fields=["project_id", *columns, "at", "id"], name=name))
        for name, columns in (("audit_by_time", []), ("audit_by_actor", ["actor"]), ("audit_by_action", ["action"]))
    ]
