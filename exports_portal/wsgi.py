"""WSGI entry for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from exports_portal.slow_clients import SlowClients

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")

application = SlowClients(get_wsgi_application())
