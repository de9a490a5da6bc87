"""The tick's sign of life in Redis: `/ready` tells from it whether runs are being started at all."""

import redis
from django.conf import settings

KEY = "portal:tick"
SECONDS = 30


def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=2, socket_connect_timeout=2)


def beat() -> None:
    """Say that the tick ran; the tick task calls it each time. Raises redis.RedisError when Redis is away."""
    with _redis() as connection:
        connection.set(KEY, "1", ex=SECONDS)


def seconds_left() -> int | None:
    """Seconds until the last sign of life runs out (30 right after a tick); None when the tick does not run."""
    with _redis() as connection:
        left = connection.ttl(KEY)
    return left if left >= 0 else None
