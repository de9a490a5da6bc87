"""What lines of the workers' log say: which part of which export, and why records were set aside."""

from collections import Counter
from typing import Any

from exports.delivery.ledger import Tally
from exports.models import Shard

REASONS = 3  # most frequent ones in a line


def about(shard: Shard) -> dict[str, Any]:
    """The pairs of every line of a slice. Its run's export must have been read with it."""
    run = shard.run
    keys = {"project": run.export.project_id, "export": run.export_id, "run": run.pk, "shard": shard.index}
    return {**keys, "request_id": run.request_id or None}


def set_aside(sums: Tally) -> dict[str, Any]:
    """How many records were rejected and held, the reasons of most, and the seconds until the first held one goes."""
    reasons = Counter(refusal.reason for _, refusal in sums.rejected).most_common(REASONS)
    waits = [hold.seconds for _, _, hold in sums.held]
    return {
        "rejected": len(sums.rejected),
        "held": len(sums.held),
        "reasons": ",".join(f"{reason}:{count}" for reason, count in reasons) or None,
        "wait": round(min(waits)) if waits else None,
    }
