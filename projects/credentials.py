"""Passcodes of the CleverTap API and tokens of the REST API: made, looked up, revoked.

Only the SHA-256 of a value is stored. A value has 256 random bits, so a plain digest cannot be guessed back and
one indexed query finds it; comparing by index tells an attacker nothing about a value that he does not have.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from exports_portal.common import audit
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid, Refused
from projects.access import require
from projects.models import Credential, Project, Role

LABEL_CHARACTERS = 80
USE_NOTED_EVERY = timedelta(minutes=1)


@transaction.atomic
def create_credential(
    *, project: Project, kind: str, label: str = "", access: str = Credential.Access.FULL, by: Actor, now: datetime
) -> tuple[Credential, str]:
    """Make a credential. The second value is the plain one: show it once, it cannot be read again."""
    require(by, project, Role.ADMIN)
    label = label.strip()
    _check(kind, label, access)
    value, digest = new_secret()
    credential = Credential.objects.create(
        project=project,
        kind=kind,
        label=label,
        access=access,
        digest=digest,
        last_four=value[-4:],
        created_at=now,
        created_by_id=by.id,
    )
    _record("credential.create", credential, by=by, now=now)
    return credential, value


@transaction.atomic
def revoke_credential(*, credential: Credential, by: Actor, now: datetime) -> None:
    """Refuse the credential from now on; harmless when it is revoked already."""
    _revoke(credential, by=by, now=now)


@transaction.atomic
def rotate_credential(*, credential: Credential, by: Actor, now: datetime) -> tuple[Credential, str]:
    """Revoke a credential and make another in its place; the second value is the plain one, to be shown once.

    Raises Refused for a revoked one: of two who rotate it at once, one makes a new one.
    """
    if not _revoke(credential, by=by, now=now):
        raise Refused(f"{credential} has been revoked. Create a new one instead.")
    what = {"kind": credential.kind, "label": credential.label, "access": credential.access}
    return create_credential(project=credential.project, **what, by=by, now=now)


def _revoke(credential: Credential, *, by: Actor, now: datetime) -> bool:
    """Whether it was in use until now."""
    require(by, credential.project, Role.ADMIN)
    was_live = Credential.objects.filter(pk=credential.pk, revoked_at=None).update(revoked_at=now)
    if was_live:
        _record("credential.revoke", credential, by=by, now=now)
    credential.refresh_from_db(fields=["revoked_at"])
    return bool(was_live)


def _check(kind: str, label: str, access: str) -> None:
    errors: dict[str, list[str]] = {}
    if kind not in Credential.Kind.values:
        errors["kind"] = [f"Choose one of: {', '.join(Credential.Kind.values)}."]
    if len(label) > LABEL_CHARACTERS:
        errors["label"] = [f"The label has {len(label)} characters; {LABEL_CHARACTERS} is the most."]
    elif "\0" in label:
        errors["label"] = ["The label must not contain control characters."]
    if access not in Credential.Access.values:
        errors["access"] = [f"Choose one of: {', '.join(Credential.Access.values)}."]
    elif access != Credential.Access.FULL and kind == Credential.Kind.PASSCODE:
        errors["access"] = ["A passcode only sends events; read-only access is for API tokens."]
    if errors:
        raise Invalid(errors)


def project_for_passcode(account_id: str, passcode: str) -> Project | None:
    """The project whose account id and passcode these are, or None."""
    credential = _live(Credential.Kind.PASSCODE, passcode)
    if credential is None or credential.project.account_id != account_id:
        return None
    _note_use(credential)
    return credential.project


def credential_for_token(token: str) -> Credential | None:
    """The credential behind a token of the REST API, its project loaded, or None."""
    credential = _live(Credential.Kind.API_TOKEN, token)
    if credential is not None:
        _note_use(credential)
    return credential


def _live(kind: Credential.Kind, value: str) -> Credential | None:
    live = Credential.objects.select_related("project").filter(kind=kind, revoked_at=None)
    return live.filter(digest=digest_of(value)).first()


def _note_use(credential: Credential) -> None:
    """Once a minute at most, so that requests do not queue up for the row."""
    now = timezone.now()
    if credential.last_used_at is None or credential.last_used_at < now - USE_NOTED_EVERY:
        long_ago = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
        Credential.objects.filter(long_ago, pk=credential.pk).update(last_used_at=now)


def new_secret() -> tuple[str, str]:
    """A value of 256 random bits for somebody to keep, and the digest that we keep."""
    value = secrets.token_urlsafe(32)
    return value, digest_of(value)


def digest_of(value: str) -> str:
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()


def _record(action: str, credential: Credential, *, by: Actor, now: datetime) -> None:
    audit.record(
        action=action,
        by=by,
        now=now,
        project_id=credential.project_id,
        target=credential,
        after={
            "kind": credential.kind,
            "access": credential.access,
            "label": credential.label,
            "value": f"••••{credential.last_four}",
        },
    )
