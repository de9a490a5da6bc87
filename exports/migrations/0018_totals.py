from django.db import migrations, models

# What changes on a shard whose run has ended long ago is added to the totals at once: nobody goes through it again.
FOLLOW = """
CREATE FUNCTION exports_follow_counted_shard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE exports_total
       SET read = read + NEW.read - OLD.read,
           delivered = delivered + NEW.delivered - OLD.delivered,
           rejected = rejected + NEW.rejected - OLD.rejected,
           held = held + NEW.held - OLD.held,
           skipped = skipped + NEW.skipped - OLD.skipped,
           unconfirmed = unconfirmed + NEW.unconfirmed + NEW.unconfirmed_again
                                     - OLD.unconfirmed - OLD.unconfirmed_again;
    RETURN NULL;
END $$;
CREATE TRIGGER exports_counted_shard_changes
AFTER UPDATE ON exports_shard FOR EACH ROW
WHEN (OLD.counted AND NEW.counted AND
      (OLD.read, OLD.delivered, OLD.rejected, OLD.held, OLD.skipped, OLD.unconfirmed, OLD.unconfirmed_again)
      IS DISTINCT FROM
      (NEW.read, NEW.delivered, NEW.rejected, NEW.held, NEW.skipped, NEW.unconfirmed, NEW.unconfirmed_again))
EXECUTE FUNCTION exports_follow_counted_shard()
"""
FORGET = "DROP TRIGGER exports_counted_shard_changes ON exports_shard; DROP FUNCTION exports_follow_counted_shard()"


class Migration(migrations.Migration):

    dependencies = [("exports", "0017_run_request_id")]

    operations = [
        migrations.CreateModel(
            name="Total",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("read", models.BigIntegerField(default=0)),
                ("delivered", models.BigIntegerField(default=0)),
                ("rejected", models.BigIntegerField(default=0)),
                ("held", models.BigIntegerField(default=0)),
                ("skipped", models.BigIntegerField(default=0)),
                ("unconfirmed", models.BigIntegerField(default=0)),
                ("runs_done", models.BigIntegerField(default=0)),
                ("runs_stopped", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="one_row_of_totals"),
                ],
            },
        ),
        migrations.AddField(
            model_name="shard",
            name="counted",
            field=models.BooleanField(
                db_default=False, default=False, help_text="its run has ended and stands in Total"
            ),
        ),
        migrations.AddIndex(
            model_name="shard",
            index=models.Index(
                condition=models.Q(("counted", False)), fields=["open", "id"], name="uncounted_shards"
            ),
        ),
        migrations.RunSQL(FOLLOW, FORGET),
    ]
