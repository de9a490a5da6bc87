from exports.models.alert import Alert
from exports.models.export import EventChoice, Export, ExportType, Frequency, Status
from exports.models.purged import PurgedRuns, PurgeMark
from exports.models.record import Held, Rejected, Skipped
from exports.models.run import Axis, Run, Shard
from exports.models.total import Total

__all__ = [
    "Alert",
    "Axis",
    "EventChoice",
    "Export",
    "ExportType",
    "Frequency",
    "Held",
    "PurgeMark",
    "PurgedRuns",
    "Rejected",
    "Run",
    "Shard",
    "Skipped",
    "Status",
    "Total",
]
