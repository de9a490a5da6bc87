"""Slots: how many calls of a kind may run at once, over all processes and machines, counted in Redis.

A call takes a slot and gives it back; one whose process died gives it back after LIFE_SECONDS. When Redis is away or
hangs, everybody is let in: a limit is there for fairness, and must not cost a record.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from time import monotonic

import redis
import structlog
from django.conf import settings

LIFE_SECONDS = 120  # no call lasts so long: gunicorn ends its worker after 60
ANSWER_SECONDS = 0.25
QUIET_SECONDS = 1.0  # a Redis that hangs costs a call its time-out: it is not asked again before
_quiet_until = 0.0

# Redis' own clock, so that servers whose clocks differ count alike. 1: taken, 0: all are taken.
TAKE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""

log = structlog.get_logger(__name__)


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
    global _quiet_until
    if monotonic() < _quiet_until:
        return True
    try:
        return bool(_connection(settings.CELERY_BROKER_URL).eval(TAKE, 1, key, most, LIFE_SECONDS, token))
    except redis.RedisError as error:
        _quiet_until = monotonic() + QUIET_SECONDS
        log.warning("slots.unknown", why=str(error), quiet=QUIET_SECONDS)
        return True


def _give_back(key: str, token: str) -> None:
    if monotonic() >= _quiet_until:
        with suppress(redis.RedisError):  # then it ends by itself
            _connection(settings.CELERY_BROKER_URL).zrem(key, token)


@lru_cache(maxsize=1)
def _connection(url: str) -> redis.Redis:
    """One pool per process, connected when it is first used, so never shared with the process that forked it."""
    return redis.Redis.from_url(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS)
