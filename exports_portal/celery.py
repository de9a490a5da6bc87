"""The Celery application: three queues, messages that only wake, and one beat entry.

Work and its retries live in the database; a lost or doubled message harms nothing (DESIGN 5.5).
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")

app = Celery("exports_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
