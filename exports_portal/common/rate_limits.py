"""How many requests somebody may make: counted in Redis, so that all web processes keep to one limit together.

When Redis is away everybody is let through: a limit protects the portal, it must not be what takes it down.
"""

from functools import cache
from time import monotonic

import redis
import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 0.25
QUIET_SECONDS = 1.0  # a process does not ask a Redis that hangs again before these have passed
_quiet_until = 0.0

# By Redis's own clock, the same for all. A span's counter is forgotten soon after the span.
COUNT = """
local now, span = tonumber(redis.call('TIME')[1]), tonumber(ARGV[1])
local key = KEYS[1] .. ':' .. math.floor(now / span)
local count = redis.call('INCR', key)
if count == 1 then redis.call('EXPIRE', key, span + 1) end
return {count, span - now % span}
"""


class TooManyRequests(Exception):
    """Over the limit. `retry_after` says in how many whole seconds the next span begins."""

    def __init__(self, most: int, seconds: int, retry_after: int) -> None:
        span = "a second" if seconds == 1 else f"within {seconds} seconds"
        super().__init__(f"More than {most:,} requests {span}. Wait, then try again.")
        self.retry_after = retry_after


def count(name: str, *, most: int, seconds: int = 1) -> None:
    """Count a request under `name`. Raises TooManyRequests from the one after `most` on, in each span of `seconds`.

    most: 0 for no limit.
    """
    global _quiet_until
    if not most or monotonic() < _quiet_until:
        return
    try:
        counted, left = _script()(keys=[f"portal:rate:{name}"], args=[seconds])
    except redis.RedisError as error:
        _quiet_until = monotonic() + QUIET_SECONDS
        log.warning("rate_limit.unknown", why=type(error).__name__, quiet=QUIET_SECONDS)
        return
    if counted > most:
        raise TooManyRequests(most, seconds, left)


@cache
def _script() -> redis.commands.core.Script:
    """One pool of connections per process; redis-py opens a new one after a fork."""
    connection = redis.Redis.from_url(
        settings.CELERY_BROKER_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
    )
    return connection.register_script(COUNT)
