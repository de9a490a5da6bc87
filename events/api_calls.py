"""What the calls of CleverTap's API have in common: credentials, slots, failures, JSON, CORS (CleverTap, API errors).

Many failures are HTTP 200 with a status of their own; the codes here are those of whole calls.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from events import json_text
from events.positions import RestoredDump
from exports_portal.common import rate_limits
from exports_portal.common.database import AWAY, InDoubt, reason
from exports_portal.common.rate_limits import TooManyRequests
from exports_portal.common.slots import NoSlot, slot
from projects.credentials import project_for_passcode
from projects.models import Project

log = structlog.get_logger("events")

SERVER_ERROR = 555
IN_DOUBT = "The database broke off at the last moment: it may have been stored. Send it again, with the same uid."
ACCOUNT_CHARACTERS = 64  # of a header, in the log
UPLOADS_AT_ONCE, READS_AT_ONCE = 15, 3  # per project; above: 429 (CleverTap, API request limit)
# Browsers may call from any page: a passcode is asked for, and no cookie counts (CleverTap, API FAQs: CORS is enabled).
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "X-CleverTap-Account-Id, X-CleverTap-Passcode, Content-Type, Content-Encoding",
    "Access-Control-Max-Age": "86400",
}

Call = Callable[[HttpRequest, Project], dict[str, Any]]


class CallFailed(Exception):
    """The whole call is refused. `status` is the HTTP status; `code` that in the answer, the same unless given."""

    def __init__(self, status: int, error: str, *, code: int | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.code = code or status


def too_many(_request: HttpRequest) -> CallFailed:
    return CallFailed(429, "Too many concurrent requests")


def clevertap_call(
    *methods: str, slots: tuple[str, int], busy: Callable[[HttpRequest], CallFailed] = too_many
) -> Callable[[Call], Callable[..., HttpResponse]]:
    """Turns `call(request, project)`, which returns the content of a 200 or raises CallFailed, into an open view.

    methods: those that it answers, OPTIONS aside. slots: the kind of call, and how many a project may have at once.
    busy: the answer when there are as many.
    """
    kind, most = slots

    def decorate(call: Call) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @login_not_required
        @wraps(call)
        def view(request: HttpRequest) -> HttpResponse:
            allow = ", ".join([*methods, "OPTIONS"])
            if request.method == "OPTIONS":
                return HttpResponse(status=204, headers={**CORS, "Access-Control-Allow-Methods": allow})
            if request.method not in methods:
                return _failure(405, f"Use {' or '.join(methods)}.", headers={"Allow": allow})
            return _guarded(call, request, kind, most, busy)

        return view

    return decorate


def _guarded(
    call: Call, request: HttpRequest, kind: str, most: int, busy: Callable[[HttpRequest], CallFailed]
) -> HttpResponse:
    account_id = request.headers.get("X-CleverTap-Account-Id", "")
    try:
        project = _project(account_id, request.headers.get("X-CleverTap-Passcode", ""))
        rate_limits.count(f"capture:{project.pk}", most=settings.PORTAL_UPLOADS_PER_SECOND)
        with slot(f"{kind}:{project.account_id}", most):
            return _json(200, call(request, project))
    except CallFailed as failed:
        return _refusal(failed)
    except TooManyRequests as error:
        return _failure(429, str(error), headers={"Retry-After": str(error.retry_after)})
    except NoSlot:
        return _refusal(busy(request))
    except RestoredDump as error:
        return _failure(503, str(error))
    except AWAY as error:
        log.warning("capture.failed", call=kind, account=account_id[:ACCOUNT_CHARACTERS], why=reason(error))
        if isinstance(error, InDoubt):
            return _failure(503, IN_DOUBT, code=SERVER_ERROR)
    except DatabaseError:
        log.exception("capture.failed", call=kind, account=account_id[:ACCOUNT_CHARACTERS])
    except Exception:  # clients read JSON, also when the fault is ours
        log.exception("call.failed", call=kind, account=account_id[:ACCOUNT_CHARACTERS])
        return _failure(500, "The portal failed at this call. Its log says why.", code=SERVER_ERROR)
    return _failure(503, "The portal could not do it now; nothing was changed. Send it again.", code=SERVER_ERROR)


def _project(account_id: str, passcode: str) -> Project:
    project = project_for_passcode(account_id, passcode)
    if project is None:
        is_known = Project.objects.filter(account_id=account_id.replace("\0", "")).exists()
        raise CallFailed(401, "Invalid Credentials" if is_known else "Account ID is not valid")
    return project


@csrf_exempt
@login_not_required
def not_offered(request: HttpRequest, **_: str) -> HttpResponse:
    """What CleverTap has and the portal does not is named, and never taken for a page."""
    return _failure(404, f"{request.path} is not offered by this portal. See its documentation for the calls that are.")


def is_true(request: HttpRequest, name: str, *, default: bool) -> bool:
    """A switch of the address, in the spelling of any language."""
    return request.GET.get(name, str(default)).lower() in ("true", "1")


def _refusal(failed: CallFailed) -> HttpResponse:
    return _failure(failed.status, failed.error, code=failed.code)


def _failure(
    status: int, error: str, *, code: int | None = None, headers: dict[str, str] | None = None
) -> HttpResponse:
    return _json(status, {"status": "fail", "error": error, "code": code or status}, headers)


def _json(status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        json_text.dump(content),
        status=status,
        headers={**CORS, **(headers or {})},
        content_type="application/json;charset=utf-8",
    )
