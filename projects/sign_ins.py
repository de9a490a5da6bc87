"""Failed sign-ins: ten with one account from one address lock it for that address for a while (django-axes)."""

from datetime import datetime, timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from exports_portal.common import audit
from exports_portal.common.audit import Actor
from exports_portal.logging import SECRET_LINKS

SIGN_INS_KEPT = timedelta(days=365)


def account_of(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """The account that somebody tries, written as users are kept: a guesser gains nothing by another case."""
    given = request.POST if credentials is None else credentials
    return str(given.get("username") or "").strip().lower()


def locked(request: HttpRequest, _response: Any = None, _credentials: Any = None) -> HttpResponse:
    """The answer to whoever is locked out; each further attempt begins the wait anew."""
    answer = render(request, "registration/locked.html", status=429)
    answer.headers["Retry-After"] = str(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    return answer


class SignIns(AxesDatabaseHandler):
    """Keeps who signed in and who failed to, but not the link by which somebody came: it is a secret."""

    def user_login_failed(self, sender: Any, credentials: Any, request: Any = None, **kwargs: Any) -> None:
        _mask(request)
        super().user_login_failed(sender, credentials, request, **kwargs)

    def user_logged_in(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        _mask(request)
        super().user_logged_in(sender, request, user, **kwargs)


def _mask(request: Any) -> None:
    if hasattr(request, "axes_path_info"):
        request.axes_path_info = SECRET_LINKS.sub(r"\1***", request.axes_path_info)


@transaction.atomic
def unlock(*, attempt: AccessAttempt, by: Actor, now: datetime) -> None:
    """Forget the failures with this account from this address."""
    about = {"username": attempt.username, "ip_address": attempt.ip_address}
    audit.record(action="sign_in.unlock", by=by, now=now, project_id=None, target=attempt, before=about)
    AccessAttempt.objects.filter(**about).delete()


def forget(*, now: datetime) -> None:
    """Delete sessions that have ended, failures that lock nobody any more, and sign-ins of more than a year ago."""
    Session.objects.filter(expire_date__lt=now).delete()
    AccessAttempt.objects.filter(attempt_time__lt=now - settings.AXES_COOLOFF_TIME).delete()
    AccessLog.objects.filter(attempt_time__lt=now - SIGN_INS_KEPT).delete()
