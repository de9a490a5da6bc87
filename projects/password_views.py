"""Changing one's password, and setting a new one by a link that came by mail or from an admin.

Django's own views and tokens; what they save goes through the verb, so that it stands in the audit log.
"""

from contextvars import copy_context
from threading import Thread
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, update_session_auth_hash, views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm, PasswordResetForm, SetPasswordForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator

from exports_portal.common import rate_limits
from exports_portal.common.addresses import client_address, site_of
from exports_portal.common.audit import Actor
from exports_portal.common.rate_limits import TooManyRequests
from projects.actions import set_password
from projects.password_links import password_links

MAILS_AN_HOUR = 5
HOUR = 3600


class ChangeForm(PasswordChangeForm):
    """Wrong old passwords count as failed sign-ins do (projects.sign_ins)."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=old) is None:
            raise forms.ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old


class PasswordChange(views.PasswordChangeView):
    template_name = "registration/password_change.html"
    form_class = ChangeForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        _set(self.request, form)
        update_session_auth_hash(self.request, form.user)
        messages.success(self.request, "Your password has been changed")
        return redirect("home")


class ResetForm(PasswordResetForm):
    def send_mail(self, *args: Any, **kwargs: Any) -> None:
        """Not while the page waits: how long the answer takes must not tell that somebody has the address.

        Anybody may ask for anybody's mail, so nobody gets many.
        """
        try:
            rate_limits.count(f"reset:{self.cleaned_data['email'].lower()}", most=MAILS_AN_HOUR, seconds=HOUR)
        except TooManyRequests:
            return
        send = super().send_mail
        Thread(target=copy_context().run, args=(lambda: send(*args, **kwargs),), daemon=True).start()


@method_decorator(login_not_required, name="dispatch")
class PasswordReset(views.PasswordResetView):
    """Asks for an address and mails a link, with the same words whether somebody has that address or not."""

    template_name = "registration/password_reset.html"
    form_class = ResetForm
    token_generator = password_links
    email_template_name = "registration/password_reset_mail.txt"
    subject_template_name = "registration/password_reset_subject.txt"
    success_url = reverse_lazy("password-reset-sent")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, mail=settings.PORTAL_SENDS_MAIL)

    def form_valid(self, form: Any) -> HttpResponse:
        self.extra_email_context = {"site": site_of(self.request)}
        return super().form_valid(form)

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
    token_generator = password_links

    def form_valid(self, form: Any) -> HttpResponse:
        _set(self.request, form)
        del self.request.session[views.INTERNAL_RESET_SESSION_TOKEN]
        messages.success(self.request, "Your password has been changed. Sign in with it.")
        return redirect("login")


def _set(request: Any, form: SetPasswordForm) -> None:
    user: Any = form.user
    by = Actor(user.pk, user.email, client_address(request))
    set_password(user=user, password=form.cleaned_data["new_password1"], by=by, now=timezone.now())
