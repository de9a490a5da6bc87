"""Asking Redis from a request or a click: hardly a wait, and after a Redis that hangs silence for a moment.

Nothing depends on an answer: without one nobody is limited, and the tick does what no bell asked for.
"""

from functools import lru_cache
from time import monotonic

import structlog
from django.conf import settings
from redis import Redis

ANSWER_SECONDS = 0.25
QUIET_SECONDS = 1.0  # a Redis that hangs costs whoever asks a time-out: this process does not ask again before
_quiet_until = 0.0

log = structlog.get_logger(__name__)


def is_quiet() -> bool:
    """Whether Redis gave no answer a moment ago, and is not to be asked."""
    return monotonic() < _quiet_until


def no_answer(what: str, error: Exception) -> None:
    """Note that `what` got none; the process keeps quiet for QUIET_SECONDS."""
    global _quiet_until
    _quiet_until = monotonic() + QUIET_SECONDS
    log.warning("redis.away", what=what, why=str(error) or type(error).__name__, quiet=QUIET_SECONDS)


def connection() -> Redis:
    return _pool(settings.CELERY_BROKER_URL)


@lru_cache(maxsize=1)
def _pool(url: str) -> Redis:
    """One per process, connected when it is first used; redis-py opens a new one after a fork."""
    return Redis.from_url(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS)
