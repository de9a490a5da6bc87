"""Signs of life in Redis: `/ready` tells from them whether runs are started and every queue has a worker."""

from collections.abc import Iterable
from contextlib import suppress

import redis
from django.conf import settings

TICK_KEY = "portal:tick"
TICK_SECONDS = 30
QUEUE_KEY = "portal:queue:{}"
QUEUE_SECONDS = 15  # three beats of a worker
QUEUES = ("tick", "live", "bulk", "purge")
PARTS = ("tick", *(f"worker {queue}" for queue in QUEUES))  # that must give a sign of life
ANSWER_SECONDS = 1.0  # the tick and each worker's own loop wait so long at most


def connect() -> redis.Redis:
    return redis.Redis.from_url(
        settings.CELERY_BROKER_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
    )


def beat() -> None:
    """Say that the tick ran; the tick task calls it each time. A missing Redis never breaks the tick."""
    with suppress(redis.RedisError), connect() as connection:
        connection.set(TICK_KEY, "1", ex=TICK_SECONDS)


def serve(queues: Iterable[str]) -> None:
    """Say that a worker takes tasks from `queues`; each worker calls it every few seconds."""
    with suppress(redis.RedisError), connect() as connection:
        for queue in queues:
            connection.set(QUEUE_KEY.format(queue), "1", ex=QUEUE_SECONDS)


def missing() -> list[str]:
    """The PARTS that give no sign of life. Raises redis.RedisError."""
    with connect() as connection:
        signs = connection.mget([TICK_KEY, *(QUEUE_KEY.format(queue) for queue in QUEUES)])
    return [name for name, sign in zip(PARTS, signs, strict=True) if sign is None]
