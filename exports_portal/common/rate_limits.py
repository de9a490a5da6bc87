"""How many requests somebody may make: counted in Redis, so that all web processes keep to one limit together.

When Redis is away everybody is let through: a limit protects the portal, it must not be what takes it down.
"""

from redis import RedisError

from exports_portal.common import redis

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
    if not most or redis.is_quiet():
        return
    try:
        counted, left = redis.connection().register_script(COUNT)(keys=[f"portal:rate:{name}"], args=[seconds])
    except RedisError as error:
        redis.no_answer("limits", error)
        return
    if counted > most:
        raise TooManyRequests(most, seconds, left)
