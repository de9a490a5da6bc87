"""manage.py rotate_keys: a new key for every stored secret, without a moment in which one cannot be read."""

import io

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from exports_portal.common.encrypted import SecretUnreadable
from partners.models import Integration
from tests.factories import IntegrationFactory

pytestmark = pytest.mark.django_db
OLD, NEW, STRANGE = (Fernet.generate_key().decode() for _ in range(3))


def token(integration: Integration) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM partners_integration WHERE id = %s", [integration.pk])
        return str(cursor.fetchone()[0]).encode()


def rotate() -> str:
    out = io.StringIO()
    call_command("rotate_keys", stdout=out)
    return out.getvalue()


@pytest.fixture
def integration(settings) -> Integration:
    settings.PORTAL_ENCRYPTION_KEYS = [OLD]
    return IntegrationFactory(secrets={"api_key": "5eed" * 8})


def test_the_old_key_is_not_needed_any_more(integration, settings) -> None:
    settings.PORTAL_ENCRYPTION_KEYS = [NEW, OLD]
    said = rotate()
    assert said.startswith("1 secret encrypted anew; 0 secrets had the newest key already.")
    assert "may be taken out" in said
    settings.PORTAL_ENCRYPTION_KEYS = [NEW]
    assert Integration.objects.get().secrets == {"api_key": "5eed" * 8}
    assert Fernet(NEW).decrypt(token(integration))


def test_a_second_time_changes_nothing(integration, settings) -> None:
    settings.PORTAL_ENCRYPTION_KEYS = [NEW, OLD]
    rotate()
    before = token(integration)
    assert rotate().startswith("0 secrets encrypted anew; 1 secret had the newest key already.")
    assert token(integration) == before


def test_what_no_key_opens_is_named_and_stays(integration, settings) -> None:
    other = IntegrationFactory(project=integration.project)
    settings.PORTAL_ENCRYPTION_KEYS = [STRANGE]
    IntegrationFactory(project=integration.project)
    before = token(integration)
    with pytest.raises(CommandError, match=f"opens: integration {integration.pk}, integration {other.pk}. Put the key"):
        rotate()
    assert token(integration) == before
    with pytest.raises(SecretUnreadable):
        Integration.objects.get(pk=integration.pk)
