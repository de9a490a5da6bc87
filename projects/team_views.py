"""Pages of a project's team, and the page that an invitation's link opens."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from exports_portal.common.addresses import client_address, site_of
from exports_portal.common.audit import Actor, actor_of
from exports_portal.common.errors import Refused
from exports_portal.common.forms import accepts
from exports_portal.common.htmx import go_to, render_for
from projects import team
from projects.forms import InviteForm, NewPasswordForm, RoleForm
from projects.models import Project, Role, User
from projects.pages import ProjectRequest, is_admin, project_page

LOGIN_BACKEND = "django.contrib.auth.backends.ModelBackend"


@project_page()
def team_list(request: ProjectRequest, project: Project) -> HttpResponse:
    """Who belongs to the project, who is invited, and what the roles may do."""
    members = project.memberships.select_related("user").order_by("user__email")
    invitations = project.invitations.open(timezone.now()).order_by("email") if is_admin(request) else ()
    context = {"members": members, "invitations": invitations, "is_admin": is_admin(request), "project": project}
    return render(request, "projects/team_list.html", context)


@project_page(Role.ADMIN)
def invite(request: ProjectRequest, project: Project) -> HttpResponse:
    """Invite somebody; the link stands in this one answer, and in a mail to them."""
    form = InviteForm(request.POST or None)
    made: list[team.Invited] = []

    def act() -> None:
        who = {**form.cleaned_data, "site": site_of(request)}
        made.append(team.invite(project=project, **who, by=actor_of(request), now=timezone.now()))

    if request.method == "POST" and accepts(form, act):
        return _panel(
            request,
            project,
            title="Invitation",
            told=_invited(made[0]),
            link=made[0].link,
            hint=f"It is good for {team.INVITATION_LASTS.days} days.",
        )
    return _form(request, project, form, title="Invite a member", button="Create the link")


def _invited(made: team.Invited) -> str:
    email, role = made.invitation.email, made.invitation.get_role_display().lower()
    if made.mailed:
        return f"This link has been mailed to {email}. It makes them {role}, once."
    tried = "It could not be mailed, so send" if settings.PORTAL_SENDS_MAIL else "Send"
    return f"{tried} this link to {email}. It makes them {role}, once."


@project_page(Role.ADMIN)
def invitation_revoke(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then let the link open nothing any more."""
    invitation = get_object_or_404(project.invitations, pk=pk)
    if request.method == "POST":
        team.revoke_invitation(invitation=invitation, by=actor_of(request), now=timezone.now())
        messages.success(request, f"The invitation of {invitation.email} has been revoked")
        return go_to(request, _team_url(project))
    text = f"The link that {invitation.email} got opens nothing any more."
    return _confirm(request, project, title="Revoke the invitation?", text=text, button="Revoke")


@project_page(Role.ADMIN)
def member_role(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Give a member another role."""
    membership = get_object_or_404(project.memberships.select_related("user", "project"), pk=pk)
    form = RoleForm(request.POST or None, initial={"role": membership.role})

    def act() -> None:
        role = form.cleaned_data["role"]
        try:
            team.change_role(membership=membership, role=role, by=actor_of(request), now=timezone.now())
        except Refused as refused:
            form.add_error("role", str(refused))

    if request.method == "POST" and accepts(form, act) and form.is_valid():
        messages.success(request, f"{membership.user.email} has the role {form.cleaned_data['role']} now")
        return go_to(request, _team_url(project))
    return _form(request, project, form, title=f"Role of {membership.user.email}", button="Save")


@project_page(Role.ADMIN)
def member_remove(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then take the member out of the project."""
    membership = get_object_or_404(project.memberships.select_related("user", "project"), pk=pk)
    email, refused = membership.user.email, ""
    if request.method == "POST":
        try:
            team.remove_member(membership=membership, by=actor_of(request), now=timezone.now())
        except Refused as error:
            refused = str(error)
        else:
            messages.success(request, f"{email} has been removed")
            return go_to(request, _team_url(project))
    text = (
        f"{email} sees nothing of {project.name} any more, and their open invitations end. Their exports go on; the "
        "account itself stays. Tokens and passcodes that they know stay, too: revoke those under Settings > Project."
    )
    return _confirm(request, project, title=f"Remove {email}?", text=text, button="Remove", refused=refused)


@project_page(Role.ADMIN)
def member_password(request: ProjectRequest, project: Project, pk: int) -> HttpResponse:
    """Ask, then show once a link with which the member sets a new password."""
    membership = get_object_or_404(project.memberships.select_related("user"), pk=pk)
    member, refused = membership.user, ""
    if request.method == "POST":
        try:
            path = team.password_link(membership=membership, by=actor_of(request), now=timezone.now())
        except (PermissionDenied, Refused) as error:
            refused = str(error)
        else:
            told = f"Send this link to {member.email}, and to nobody else: whoever opens it sets their password."
            link = f"{site_of(request)}{path}"
            return _panel(request, project, title="New password", told=told, link=link, hint="It is good for a day.")
    text = f"{member.email} can set a new password with it, once. Until then the present password stays."
    title = "Make a link for a new password?"
    return _confirm(request, project, title=title, text=text, button="Make the link", refused=refused)


@login_not_required
@never_cache
@sensitive_post_parameters()
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What an invitation's link opens: become a member as who is signed in, or with a new account."""
    now = timezone.now()
    found = team.invitation_of(token, now=now)
    if found is None:
        return _invitation(request, refused=team.GONE, status=404)
    user = request.user if request.user.is_authenticated else None
    if user is None and User.objects.filter(email=found.email).exists():
        return redirect(f"{reverse('login')}?next={request.path}")
    if user is not None and user.email != found.email:
        said = f"This invitation is for {found.email}, and you are signed in as {user.email}. Sign out first."
        return _invitation(request, refused=said, status=403)
    form = (forms.Form if user else NewPasswordForm)(request.POST if request.method == "POST" else None)
    by = actor_of(request) if user else Actor(None, found.email, client_address(request))
    joined: list[User] = []

    def join() -> None:
        password = form.cleaned_data.get("password", "")
        joined.append(team.accept(invitation=found, user=user, password=password, by=by, now=now))

    try:
        accepted = accepts(form, join)
    except Refused as refused:  # accepted or revoked since it was looked up
        return _invitation(request, refused=str(refused), status=404)
    if accepted:
        if user is None:
            login(request, joined[0], backend=LOGIN_BACKEND)
        messages.success(request, f"Welcome to {found.project.name}")
        return redirect("exports:export-list", found.project.account_id)
    return _invitation(request, invitation=found, form=form, status=422 if form.errors else 200)


def _invitation(request: HttpRequest, *, status: int, **what: Any) -> HttpResponse:
    context = {"invitation": None, "form": None, "refused": "", **what}
    return render(request, "registration/invitation.html", context, status=status)


def _form(request: ProjectRequest, project: Project, form: Any, *, title: str, button: str) -> HttpResponse:
    return _panel(request, project, form=form, title=title, button=button, status=422 if form.errors else 200)


def _panel(request: ProjectRequest, project: Project, *, title: str, status: int = 200, **what: Any) -> HttpResponse:
    shown = {"form": None, "button": "", "told": "", "link": "", "hint": "", **what}
    context = {**shown, "title": title, "url": request.path, "close_url": _team_url(project), "project": project}
    page, part = "projects/team_page.html", "projects/team_panel.html"
    return render_for(request, context, page=page, part=part, status=status)


def _confirm(
    request: ProjectRequest, project: Project, *, title: str, text: str, button: str, refused: str = ""
) -> HttpResponse:
    what = {"title": title, "text": text, "button": button, "refused": refused}
    context = {**what, "url": request.path, "close_url": _team_url(project), "project": project}
    page, part = "projects/team_confirm_page.html", "components/confirm.html"
    return render_for(request, context, page=page, part=part, status=422 if refused else 200)


def _team_url(project: Project) -> str:
    return reverse("projects:team-list", args=[project.account_id])
