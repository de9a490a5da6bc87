"""Admin: users, projects, who belongs to them, and their programs' credentials."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from exports_portal.common.admin import AuditedAdmin, PortalAdmin, ReadOnlyAdmin, link, list_link
from exports_portal.common.audit import actor_of
from projects.actions import add_project, edit_project
from projects.credentials import revoke_credential
from projects.models import Credential, Membership, Project, User
from projects.zones import zone_names

admin.site.site_header = admin.site.site_title = "Exports Portal"
admin.site.index_title = "Admin"


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
class UserAdmin(AuditedAdmin, DjangoUserAdmin):
    form = UserForm
    add_form = NewUserForm
    ordering = ("email",)
    list_display = ("email", "first_name", "last_name", "is_staff", "is_superuser", "is_active", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "first_name", "last_name")
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "items_per_page")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "usable_password", "password1", "password2")}),)


class ProjectForm(forms.ModelForm):
    timezone = forms.ChoiceField(label="Time zone", choices=lambda: [(name, name) for name in zone_names()])

    class Meta:
        model = Project
        fields = ("name", "timezone")


@admin.register(Project)
class ProjectAdmin(PortalAdmin):
    """Saved by the verbs, which the project's page calls too."""

    form = ProjectForm
    list_display = ("name", "account_id", "timezone", "created_at", "exports", "integrations")
    list_filter = ("timezone",)
    search_fields = ("name", "account_id")
    ordering = ("name",)
    readonly_fields = ("account_id", "created_at", "exports", "integrations", "members", "credentials")

    def get_fields(self, request: HttpRequest, obj: Project | None = None) -> tuple[str, ...]:
        return ("name", "timezone", *self.readonly_fields) if obj else ("name", "timezone")

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        by, now = actor_of(request.user), timezone.now()
        if change:
            before = Project.objects.get(pk=obj.pk)
            edit_project(project=before, name=obj.name, timezone=obj.timezone, by=by, now=now)
        else:
            obj.pk = add_project(name=obj.name, timezone=obj.timezone, by=by, now=now).pk
            obj.refresh_from_db()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its logs would stay behind

    @admin.display(description="exports")
    def exports(self, project: Project) -> SafeString:
        return list_link(project._meta.get_field("exports").related_model, "exports", project__id=project.pk)

    @admin.display(description="integrations")
    def integrations(self, project: Project) -> SafeString:
        return list_link(project._meta.get_field("integrations").related_model, "integrations", project__id=project.pk)

    @admin.display(description="members")
    def members(self, project: Project) -> SafeString:
        return list_link(Membership, "members", project__id=project.pk)

    @admin.display(description="credentials")
    def credentials(self, project: Project) -> SafeString:
        return list_link(Credential, "credentials", project__id=project.pk)


@admin.register(Membership)
class MembershipAdmin(AuditedAdmin):
    list_display = ("user", "project", "role", "created_at")
    list_filter = ("role", "project")
    search_fields = ("user__email", "project__name", "project__account_id")
    list_select_related = ("user", "project")
    autocomplete_fields = ("user", "project")
    readonly_fields = ("created_at",)


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    """Made on the project's page, where the value is shown once; revoked there or here."""

    list_display = ("kind", "masked", "label", "project_link", "created_at", "revoked_at")
    list_filter = ("kind", ("revoked_at", admin.EmptyFieldListFilter), "project")
    search_fields = ("label", "last_four", "project__name", "project__account_id")
    list_select_related = ("project",)
    fields = ("kind", "masked", "label", "project_link", "created_by", "created_at", "revoked_at")
    readonly_fields = fields
    actions = ("revoke",)

    @admin.display(description="value")
    def masked(self, credential: Credential) -> str:
        return f"••••{credential.last_four}"

    @admin.display(description="project", ordering="project__name")
    def project_link(self, credential: Credential) -> SafeString | str:
        return link(credential.project)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("projects.change_credential")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        for credential in queryset:
            revoke_credential(credential=credential, by=actor_of(request.user), now=timezone.now())
        messages.success(request, "The credentials are revoked. Programs that use them get 401 from now on.")
