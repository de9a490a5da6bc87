"""Where each act came from; and the database refuses to empty the audit log, too.

Tests, which empty their database between each other, say portal.flush (tests/settings.py).
"""

from django.db import migrations, models

FORBID = """
CREATE FUNCTION refuse_to_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('portal.flush', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON common_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_empty();
"""
ALLOW = "DROP TRIGGER audit_is_not_emptied ON common_auditentry; DROP FUNCTION refuse_to_empty();"


class Migration(migrations.Migration):
    dependencies = [("common", "0003_audit_retention")]
    operations = [
        migrations.AddField(
            "auditentry",
            "address",
            models.GenericIPAddressField(help_text="where the request came from", null=True),
        ),
        migrations.RunSQL(FORBID, ALLOW),
    ]
