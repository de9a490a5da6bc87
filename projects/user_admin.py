"""Admin: users, groups of rights, and how people signed in or failed to."""

from http import HTTPStatus
from typing import Any

from axes.models import AccessAttempt, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from exports_portal.common import audit
from exports_portal.common.admin import LongListAdmin, VerbAdmin, each, list_link
from exports_portal.common.audit import Actor, actor_of
from projects import access, sign_ins, team
from projects.actions import record_user
from projects.models import Membership, User

NEVER_IN_AUDIT = ("password",)
RIGHTS = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")


class LowerCaseEmail:
    """Emails are kept in lower case, so that nobody signs up twice."""

    cleaned_data: dict[str, Any]

    def clean_email(self) -> str:
        return self.cleaned_data["email"].strip().lower()


class NewUserForm(LowerCaseEmail, AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email",)


class UserForm(LowerCaseEmail, UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"
        field_classes: dict[str, Any] = {}


@admin.register(User)
class UserAdmin(VerbAdmin, DjangoUserAdmin):
    """Saved as the form says, but each change leaves an audit entry, as the verbs' changes do."""

    form = UserForm
    add_form = NewUserForm
    ordering = ("email",)
    list_display = ("email", "first_name", "last_name", "is_staff", "is_superuser", "is_active", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "first_name", "last_name")
    readonly_fields = ("last_login", "date_joined", "memberships")
    fieldsets = (
        (None, {"fields": ("email", "password", "memberships")}),
        ("Person", {"fields": ("first_name", "last_name", "items_per_page")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "usable_password", "password1", "password2")}),)

    @admin.display(description="projects")
    def memberships(self, user: User) -> SafeString:
        return list_link(Membership, "memberships", user__id=user.pk)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Only a superuser gives rights."""
        return (*self.readonly_fields, *(() if request.user.is_superuser else RIGHTS))

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody sets the password, or the address, of somebody with more rights."""
        return super().has_change_permission(request, obj) and _is_above(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_above(request, obj)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        by, now = actor_of(request), timezone.now()
        if change and "is_active" in form.changed_data and not obj.is_active:
            team.prepare_deactivation(user=obj, by=by, now=now)
        if change and "is_superuser" in form.changed_data and not obj.is_superuser:
            team.end_invitations(user=obj, by=by, now=now)  # before it is saved: it may be their own right
        super().save_model(request, obj, form, change)
        before, after = _changes(form, obj, change)
        _record(request, "edit" if change else "create", obj, before=before, after=after)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        team.delete_user(user=obj, by=actor_of(request), now=timezone.now())

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """One at a time, so that each refusal is told where it belongs."""
        return {name: act for name, act in super().get_actions(request).items() if name != "delete_selected"}

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        answer = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == HTTPStatus.FOUND:
            _record(request, "password", User.objects.get(pk=id))
        return answer


def _record(request: HttpRequest, verb: str, user: User, **values: Any) -> None:
    record_user(verb, user, by=actor_of(request), now=timezone.now(), **values)


def _changes(form: Any, obj: Any, change: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a form of the admin changes, before and after, for the audit log."""
    names = [name for name in form.changed_data if name in form.initial or not change]
    names = [name for name in names if name not in NEVER_IN_AUDIT and hasattr(obj, name)]
    before = {name: _plain(form.initial.get(name)) for name in names} if change else {}
    return before, {name: _plain(form.cleaned_data.get(name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, (list, QuerySet)):  # a user's groups and rights, saved after the user
        return sorted(map(str, value))
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _is_above(request: HttpRequest, user: User | None) -> bool:
    return user is None or access.is_above(actor_of(request), user)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(VerbAdmin, DjangoGroupAdmin):
    """Rights in the admin that several users have. Only a superuser gives rights: nobody widens a group of theirs."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        before, after = _changes(form, obj, change)
        _record_group(request, "edit" if change else "create", obj, before=before, after=after)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        was = {"name": obj.name, "permissions": _plain(obj.permissions.all()), "users": _plain(obj.user_set.all())}
        _record_group(request, "delete", obj, before=was)
        super().delete_model(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """One at a time, so that each stands in the audit log."""
        return {name: act for name, act in super().get_actions(request).items() if name != "delete_selected"}


def _record_group(request: HttpRequest, verb: str, group: Group, **values: Any) -> None:
    by, now = actor_of(request), timezone.now()
    audit.record(action=f"group.{verb}", by=by, now=now, project_id=None, target=group, **values)


class SignInAdmin(LongListAdmin):
    list_filter = ("attempt_time",)
    search_fields = ("username", "ip_address")
    ordering = ("-id",)


@admin.register(AccessLog)
class AccessLogAdmin(SignInAdmin):
    list_display = ("attempt_time", "username", "ip_address", "user_agent", "path_info", "logout_time")
    fields = list_display


@admin.register(AccessAttempt)
class AccessAttemptAdmin(SignInAdmin):
    """Ten failures lock the account for the address."""

    list_display = ("attempt_time", "username", "ip_address", "user_agent", "failures_since_start")
    fields = list_display
    actions = ("unlock",)

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")

    @admin.action(description="Unlock", permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        def act(attempt: AccessAttempt, by: Actor) -> str:
            sign_ins.unlock(attempt=attempt, by=by, now=timezone.now())
            return f"{attempt.username} may try again from {attempt.ip_address}."

        each(request, queryset, act)
