"""The Celery application: four queues, messages that only wake, and beat's entries.

Work and its retries live in the database; a lost or doubled message harms nothing (rule 5).
"""

import os
import signal
import warnings
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, task_postrun, task_prerun, worker_process_init, worker_process_shutdown
from django.dispatch import receiver
from django_structlog.celery.signals import modify_context_before_task_publish
from django_structlog.celery.steps import DjangoStructLogInitStep

from exports_portal.processes import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")

# Celery warns root of unpickling; we take JSON only, and a container often has no other user.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("exports_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

BEAT_SECONDS = 5.0


class SignOfLife(bootsteps.StartStopStep):
    """Tells `/ready` every few seconds which queues this worker serves."""

    requires = ("celery.worker.components:Timer",)

    def start(self, worker: Any) -> None:
        self.queues = list(worker.app.amqp.queues.consume_from)
        self._beat()
        self.timer = worker.timer.call_repeatedly(BEAT_SECONDS, self._beat)

    def stop(self, worker: Any) -> None:
        self.timer.cancel()

    def _beat(self) -> None:
        from exports_portal.common import heartbeat  # settings are ready only once the worker has started

        heartbeat.serve(self.queues)


app.steps["worker"].add(DjangoStructLogInitStep)
app.steps["worker"].add(SignOfLife)


@setup_logging.connect
def use_our_logging(**_kwargs: Any) -> None:
    """Being connected is what keeps Celery from setting up its own logging."""
    from django.conf import settings

    from exports_portal.logging import configure

    configure(settings.LOGGING)


@receiver(modify_context_before_task_publish)
def send_no_context(context: dict[str, Any], **_kwargs: Any) -> None:
    """A task tells what its lines are about itself (common.log_context): not who rang for it."""
    context.clear()


@task_postrun.connect
def forget_context(**_kwargs: Any) -> None:
    """What the process says between two tasks belongs to neither."""
    structlog.contextvars.clear_contextvars()


@task_prerun.connect
def check_connections(**_kwargs: Any) -> None:
    """As before a web request: a connection that broke or grew old since the last task is not used again."""
    from django.db import close_old_connections

    close_old_connections()


@worker_process_shutdown.connect
def tell_timings(**_kwargs: Any) -> None:
    """A pool process ends without the interpreter's own clean-up."""
    from exports_portal.common import timings

    timings.flush()


@worker_process_init.connect
def end_with_the_worker(**_kwargs: Any) -> None:
    """A pool process must not go on when its worker was killed: nobody would hand it work or stop it."""
    die_with_parent(signal.SIGKILL, parent=os.getppid())
