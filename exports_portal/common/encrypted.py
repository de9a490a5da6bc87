"""Secrets at rest: Fernet with rotating keys from PORTAL_ENCRYPTION_KEYS, newest first."""

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class SecretUnreadable(Exception):
    """A stored secret was made with a key that is no longer in PORTAL_ENCRYPTION_KEYS."""


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def fernet() -> MultiFernet:
    return _fernet(tuple(settings.PORTAL_ENCRYPTION_KEYS))


class EncryptedJSONField(models.TextField):
    """A JSON value that the database holds as a Fernet token.

    Reading with the wrong key raises SecretUnreadable; it never hands out ciphertext.
    """

    # For django-stubs: what may be set and what is got, as its own JSONField declares it.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> Any:
        if value is None:
            return None
        return fernet().encrypt(json.dumps(value).encode()).decode()

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        if value is None:
            return None
        try:
            return json.loads(fernet().decrypt(value.encode()))
        except InvalidToken as error:
            raise SecretUnreadable(
                "A stored key cannot be decrypted: PORTAL_ENCRYPTION_KEYS no longer holds the key that encrypted it. "
                "Put that key back at the end of the list."
            ) from error

    def to_python(self, value: Any) -> Any:
        return value
