"""Slots: how many calls of a kind may run at once, over all processes and machines, counted in Redis.

A call takes a slot and gives it back; one whose process died gives it back after LIFE_SECONDS. When Redis is away or
hangs, everybody is let in: a limit is there for fairness, and must not cost a record.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis import RedisError

from exports_portal.common import redis

LIFE_SECONDS = 120  # no call lasts so long: gunicorn ends its worker after 60

# Redis' own clock, so that servers whose clocks differ count alike. 1: taken, 0: all are taken.
TAKE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""


class NoSlot(Exception):
    """As many calls of the kind are running as may."""


@contextmanager
def slot(kind: str, most: int) -> Iterator[None]:
    """Holds one of the `most` slots of a kind. Raises NoSlot."""
    key, token = f"portal:slots:{kind}", uuid.uuid4().hex
    if not _take(key, most, token):
        raise NoSlot(kind)
    try:
        yield
    finally:
        _give_back(key, token)


def _take(key: str, most: int, token: str) -> bool:
    if redis.is_quiet():
        return True
    try:
        return bool(redis.connection().eval(TAKE, 1, key, most, LIFE_SECONDS, token))
    except RedisError as error:
        redis.no_answer("slots", error)
        return True


def _give_back(key: str, token: str) -> None:
    if not redis.is_quiet():
        with suppress(RedisError):  # then it ends by itself
            redis.connection().zrem(key, token)
