from celery import shared_task


@shared_task(name="events.tasks.roll_up")
def roll_up() -> None:
    pass
