"""Secrets at rest: Fernet with rotating keys from PORTAL_ENCRYPTION_KEYS, newest first."""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models.functions import Cast


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


@dataclass
class Rotation:
    """What became of the stored secrets: how many have a new token, had one already, and which cannot be read."""

    changed: int = 0
    fresh: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate() -> Rotation:
    """Encrypt every stored secret anew with the newest key; whole again at any time, and harmless the second time.

    Each row is a transaction of its own and changes only if nobody has changed it meanwhile: what is written now is
    written with the newest key.
    """
    newest, result = Fernet(settings.PORTAL_ENCRYPTION_KEYS[0]), Rotation()
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if isinstance(column, EncryptedJSONField):
                _rotate_column(model, column.name, newest, result)
    return result


def _rotate_column(model: type[models.Model], name: str, newest: Fernet, result: Rotation) -> None:
    tokens = model._default_manager.annotate(token=Cast(name, models.TextField())).exclude(token=None)
    for pk, token in tokens.order_by("pk").values_list("pk", "token"):
        if _opens(newest, token):
            result.fresh += 1
            continue
        try:
            anew = fernet().rotate(token.encode()).decode()
        except InvalidToken:
            result.unreadable.append(f"{model._meta.verbose_name} {pk}")
            continue
        changed = tokens.filter(pk=pk, token=token).update(**{name: models.Value(anew, models.TextField())})
        result.changed += changed
        result.fresh += not changed


def _opens(key: Fernet, token: str) -> bool:
    try:
        key.decrypt(token.encode())
    except InvalidToken:
        return False
    return True
