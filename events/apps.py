from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class EventsConfig(AppConfig):
    name = "events"

    def ready(self) -> None:
        post_migrate.connect(_tie_log_to_cluster, sender=self)


def _tie_log_to_cluster(**kwargs: Any) -> None:
    """An empty log needs its base row; `flush` takes it away and then lands here too."""
    from events import positions

    positions.set_up()
