"""Changing one's password, and setting a new one by a link that came by mail or from an admin.

Django's own views and tokens; what they save goes through the verb, so that it stands in the audit log.
"""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash, views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator

from exports_portal.common.addresses import client_address
from exports_portal.common.audit import Actor
from projects.actions import set_password


class PasswordChange(views.PasswordChangeView):
    template_name = "registration/password_change.html"

    def form_valid(self, form: Any) -> HttpResponse:
        _set(self.request, form)
        update_session_auth_hash(self.request, form.user)
        messages.success(self.request, "Your password has been changed")
        return redirect("home")


@method_decorator(login_not_required, name="dispatch")
class PasswordReset(views.PasswordResetView):
    """Asks for an address and mails a link, with the same words whether somebody has that address or not."""

    template_name = "registration/password_reset.html"
    email_template_name = "registration/password_reset_mail.txt"
    subject_template_name = "registration/password_reset_subject.txt"
    success_url = reverse_lazy("password-reset-sent")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, mail=settings.PORTAL_SENDS_MAIL)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Without a mail server the link would end in the log."""
        act = super().post if settings.PORTAL_SENDS_MAIL else self.get
        return act(request, *args, **kwargs)


@method_decorator(login_not_required, name="dispatch")
class PasswordResetSent(views.PasswordResetDoneView):
    template_name = "registration/password_reset_sent.html"


@method_decorator(login_not_required, name="dispatch")
class PasswordResetConfirm(views.PasswordResetConfirmView):
    """What the link opens. Django takes the token out of the address before it shows the form."""

    template_name = "registration/password_reset_confirm.html"

    def form_valid(self, form: Any) -> HttpResponse:
        _set(self.request, form)
        del self.request.session[views.INTERNAL_RESET_SESSION_TOKEN]
        messages.success(self.request, "Your password has been changed. Sign in with it.")
        return redirect("login")


def _set(request: Any, form: SetPasswordForm) -> None:
    user: Any = form.user
    by = Actor(user.pk, user.email, client_address(request))
    set_password(user=user, password=form.cleaned_data["new_password1"], by=by, now=timezone.now())
