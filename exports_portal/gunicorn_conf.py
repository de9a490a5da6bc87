"""gunicorn's settings. The address comes from the command line: `gunicorn -c python:exports_portal.gunicorn_conf`."""

from exports_portal.logging import configure_structlog, logging_settings
from exports_portal.runtime import log_format

configure_structlog()

wsgi_app = "exports_portal.wsgi:application"
worker_class = "gthread"
workers = 2
threads = 4
preload_app = True  # one import of Django instead of one per worker: half the time to start
timeout = 60
graceful_timeout = 3
keepalive = 5
accesslog = None  # django-structlog writes one line per request
control_socket_disable = True  # it would lie in the home folder, one for all portals of this machine
logconfig_dict = logging_settings(log_format=log_format())
