"""manage.py create_user EMAIL --project ACCOUNT_ID --role ROLE --password-stdin"""

import sys
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid
from projects.actions import create_user
from projects.models import Project, Role


class Command(BaseCommand):
    help = "Create a user who is a member of a project."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--project", required=True, metavar="ACCOUNT_ID")
        parser.add_argument("--role", required=True, metavar="|".join(Role.values))
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    def handle(self, **options: Any) -> None:
        project = Project.objects.filter(account_id=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project with the account id “{options['project']}”.")
        password = sys.stdin.readline().rstrip("\r\n") if options["password_stdin"] else getpass()
        given = {"email": options["email"], "password": password, "role": options["role"]}
        try:
            user = create_user(**given, project=project, by=Actor(None, "manage.py create_user"), now=timezone.now())
        except Invalid as error:
            raise CommandError(error.sentence) from error
        self.stdout.write(f"{user.email} is now {options['role']} of {project.name}.")
