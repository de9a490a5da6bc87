from events.models.catalogue import DailyCount, EventName, PropertySeen, RollupPosition
from events.models.log import Event, Flag, LogBase, ProfileChange, RefusedUpload
from events.models.person import Identifier, LifetimeCount, Person
from events.models.removal import Erased, Erasure, PurgedLog

__all__ = [
    "DailyCount",
    "Erased",
    "Erasure",
    "Event",
    "EventName",
    "Flag",
    "Identifier",
    "LifetimeCount",
    "LogBase",
    "Person",
    "ProfileChange",
    "PropertySeen",
    "PurgedLog",
    "RefusedUpload",
    "RollupPosition",
]
