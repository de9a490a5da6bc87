"""The demo project, its events, and exports of them to the sandbox: what `make run` shows on its first start."""

import os

import django
from django.core.management import call_command


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")
    django.setup()
    from projects.actions import DEMO_PROJECT  # models are there only after the setup
    from projects.models import Project

    call_command("load_demo")
    for project in Project.objects.filter(name=DEMO_PROJECT):
        call_command("load_demo_exports", project=project.account_id)


if __name__ == "__main__":
    main()
