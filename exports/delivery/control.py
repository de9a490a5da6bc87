"""The record to repeat when poison must be told from a wall: one that the partner took before (rule 8)."""

from datetime import datetime, timedelta

from events import store
from exports import runs
from exports.delivery.batches import encode_rows
from exports.models import Shard
from partners.contract import Encodings, Settings
from partners.models import Integration

REPEATS_KNOWN = timedelta(days=6)  # a day less than Amplitude knows them (Amplitude, HTTP V2)
TRIED = 20  # shards; a record may be gone meanwhile


def last_accepted(integration: Integration, settings: Settings, *, now: datetime) -> Encodings | None:
    """The last record of any export that these credentials delivered to where `settings` point, as it was sent then.

    None when there is none whose repeat is certainly harmless: another key or region would count it anew.
    """
    since = max(now - REPEATS_KNOWN, integration.updated_at)
    shards = Shard.objects.filter(run__integration=integration, control_id__isnull=False, control_at__gt=since)
    for shard in shards.select_related("run__export", "run__integration").order_by("-control_at")[:TRIED]:
        run = shard.run
        if _place(integration, run.settings["integration"]) != _place(integration, settings):
            continue
        assert shard.control_id is not None  # see the filter
        rows = store.read_by_ids(integration.project_id, [shard.control_id], runs.log_of(run))
        outcomes = encode_rows(list(rows.values()), runs.encoder(run, run.settings, now=now))
        if outcomes.sendable:
            return outcomes
    return None


def _place(integration: Integration, settings: Settings) -> list[str]:
    return [settings[spec.name] for spec in integration.adapter.fields if spec.connects]
