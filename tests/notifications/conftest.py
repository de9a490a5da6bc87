"""A project, and real receivers of its mails and calls."""

import ipaddress
from collections.abc import Iterator
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from django.utils import timezone

from exports_portal.common.audit import Actor
from exports_portal.embedded import free_port
from notifications import actions
from projects.models import Project
from tests.factories import ProjectFactory

ANN = Actor(None, "ann@example.com")


@pytest.fixture
def project(db: Any) -> Project:
    return ProjectFactory(name="Kirana Mobile", account_id="TST-NOT-0001")


@pytest.fixture
def loopback_allowed(settings: Any) -> None:
    settings.PORTAL_WEBHOOK_NETWORKS = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]


class Inbox(MessageHandler):
    """Keeps what a mail server takes; `refuse` makes it refuse everything."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self.refuse = False

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.refuse:
            return "451 Try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def handle_message(self, message: Message) -> None:
        self.messages.append(message)


@pytest.fixture
def inbox(settings: Any) -> Iterator[Inbox]:
    """A real SMTP server that the portal sends through."""
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = controller.hostname, controller.port
    yield inbox
    controller.stop()


def prefer(project: Project, **more: Any) -> None:
    """Save preferences; the others stay."""
    actions.save_preferences(project=project, **more, by=ANN, now=timezone.now())
