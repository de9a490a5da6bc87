"""The time zones that a project may have."""

import zoneinfo
from functools import cache

# The zone of whoever's machine it is: another one on each, and unknown to PostgreSQL, which counts local days too.
NOT_A_PLACE = "localtime"


@cache
def zone_names() -> list[str]:
    """IANA names, sorted."""
    return sorted(zoneinfo.available_timezones() - {NOT_A_PLACE})
