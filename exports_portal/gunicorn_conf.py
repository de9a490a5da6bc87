"""gunicorn's settings. The address comes from the command line: `gunicorn -c python:exports_portal.gunicorn_conf`."""

import logging
from typing import Any

from exports_portal.logging import configure_structlog, logging_settings
from exports_portal.runtime import log_format, request_seconds
from exports_portal.slow_clients import head_seconds, wait_at_most

configure_structlog()

wsgi_app = "exports_portal.wsgi:application"
worker_class = "exports_portal.slow_clients.Worker"
workers = 2
threads = 16  # with two processes twice the uploads that a project may have at once (events.api_calls)
preload_app = True  # one import of Django instead of one per worker: half the time to start
timeout = 60
graceful_timeout = 3
keepalive = 5
limit_request_line = 8190  # the most: a cursor holds all filters of its question (events.cursors)
accesslog = None  # django-structlog writes one line per request
control_socket_disable = True  # it would lie in the home folder, one for all portals of this machine
logconfig_dict = logging_settings(log_format=log_format())


def when_ready(server: Any) -> None:
    """A client that falls silent gives its thread back. Accepted sockets inherit this."""
    for listener in server.LISTENERS:
        wait_at_most(listener.sock, receiving=head_seconds(), sending=request_seconds())
    logging.getLogger("gunicorn.error").addFilter(is_news)


def is_news(record: logging.LogRecord) -> bool:
    """That a client fell silent is no error of ours, and needs no traceback."""
    return record.exc_info is None or not isinstance(record.exc_info[1], BlockingIOError)


def post_worker_init(_worker: Any) -> None:
    from exports_portal.common.database import bound_statements  # Django is set up only now
    from exports_portal.common.interpreter import collect_garbage_seldom

    bound_statements()
    collect_garbage_seldom()
