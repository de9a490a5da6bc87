"""Passcodes of the CleverTap API and tokens of the REST API: made, looked up, revoked.

Only the SHA-256 of a value is stored. A value has 256 random bits, so a plain digest cannot be guessed back and
one indexed query finds it; comparing by index tells an attacker nothing about a value that he does not have.
"""

import hashlib
import secrets
from datetime import datetime

from django.db import transaction

from exports_portal.common import audit
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Invalid
from projects.models import Credential, Project

LABEL_CHARACTERS = 80


@transaction.atomic
def create_credential(
    *, project: Project, kind: str, label: str = "", by: Actor, now: datetime
) -> tuple[Credential, str]:
    """Make a credential. The second value is the plain one: show it once, it cannot be read again."""
    label = label.strip()
    if kind not in Credential.Kind.values:
        raise Invalid({"kind": [f"Choose one of: {', '.join(Credential.Kind.values)}."]})
    if len(label) > LABEL_CHARACTERS:
        raise Invalid({"label": [f"The label has {len(label)} characters; {LABEL_CHARACTERS} is the most."]})
    value = secrets.token_urlsafe(32)
    credential = Credential.objects.create(
        project=project,
        kind=kind,
        label=label,
        digest=_digest(value),
        last_four=value[-4:],
        created_at=now,
        created_by_id=by.id,
    )
    _record("credential.create", credential, by=by, now=now)
    return credential, value


@transaction.atomic
def revoke_credential(*, credential: Credential, by: Actor, now: datetime) -> None:
    """Refuse the credential from now on; harmless when it is revoked already."""
    if Credential.objects.filter(pk=credential.pk, revoked_at=None).update(revoked_at=now):
        _record("credential.revoke", credential, by=by, now=now)
    credential.refresh_from_db(fields=["revoked_at"])


def project_for_passcode(account_id: str, passcode: str) -> Project | None:
    """The project whose account id and passcode these are, or None."""
    credential = _live(Credential.Kind.PASSCODE, passcode)
    return credential.project if credential and credential.project.account_id == account_id else None


def credential_for_token(token: str) -> Credential | None:
    """The credential behind a token of the REST API, its project loaded, or None."""
    return _live(Credential.Kind.API_TOKEN, token)


def _live(kind: Credential.Kind, value: str) -> Credential | None:
    live = Credential.objects.select_related("project").filter(kind=kind, revoked_at=None)
    return live.filter(digest=_digest(value)).first()


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()


def _record(action: str, credential: Credential, *, by: Actor, now: datetime) -> None:
    audit.record(
        action=action,
        by=by,
        now=now,
        project_id=credential.project_id,
        target=credential,
        after={"kind": credential.kind, "label": credential.label, "value": f"••••{credential.last_four}"},
    )
