"""Admin: users, projects, who belongs to them, and their programs' credentials."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.safestring import SafeString

from exports_portal.common.admin import ReadOnlyAdmin, VerbAdmin, each, link, list_link
from exports_portal.common.audit import Actor, actor_of
from exports_portal.common.models import AuditEntry
from projects import team, user_admin  # noqa: F401 registers the pages of users
from projects.actions import add_member, add_project, edit_project
from projects.credentials import revoke_credential, rotate_credential
from projects.models import Credential, Invitation, Membership, Project
from projects.zones import zone_names

admin.site.site_header = admin.site.site_title = "Exports Portal"
admin.site.index_title = "Admin"


class ProjectForm(forms.ModelForm):
    timezone = forms.ChoiceField(label="Time zone", choices=lambda: [(name, name) for name in zone_names()])

    class Meta:
        model = Project
        fields = ("name", "timezone")


@admin.register(Project)
class ProjectAdmin(VerbAdmin):
    """Saved by the verbs, which the project's page calls too."""

    form = ProjectForm
    list_display = ("name", "account_id", "timezone", "created_at", "exports", "integrations")
    list_filter = ("timezone",)
    search_fields = ("name", "account_id")
    ordering = ("name",)
    readonly_fields = ("account_id", "created_at", "exports", "integrations", "members", "credentials", "audit_log")

    def get_fields(self, request: HttpRequest, obj: Project | None = None) -> tuple[str, ...]:
        return ("name", "timezone", *self.readonly_fields) if obj else ("name", "timezone")

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        by, now = actor_of(request), timezone.now()
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

    @admin.display(description="audit log")
    def audit_log(self, project: Project) -> SafeString:
        return list_link(AuditEntry, "audit entries", project_id=project.pk)

    @admin.display(description="members")
    def members(self, project: Project) -> SafeString:
        return list_link(Membership, "members", project__id=project.pk)

    @admin.display(description="credentials")
    def credentials(self, project: Project) -> SafeString:
        return list_link(Credential, "credentials", project__id=project.pk)


@admin.register(Membership)
class MembershipAdmin(VerbAdmin):
    """Saved by the verbs, which the page Team calls too."""

    list_display = ("user", "project", "role", "created_at")
    list_filter = ("role", "project")
    search_fields = ("user__email", "project__name", "project__account_id")
    list_select_related = ("user", "project")
    autocomplete_fields = ("user", "project")

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> tuple[str, ...]:
        return ("user", "project", "created_at") if obj else ("created_at",)

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        by, now = actor_of(request), timezone.now()
        if change:
            team.change_role(membership=obj, role=obj.role, by=by, now=now)
        else:
            obj.pk = add_member(project=obj.project, user=obj.user, role=obj.role, by=by, now=now).pk
            obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        team.remove_member(membership=obj, by=actor_of(request), now=timezone.now())

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """One at a time, so that each refusal is told where it belongs."""
        return {name: act for name, act in super().get_actions(request).items() if name != "delete_selected"}


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Made on the page Team, where the link is shown once; revoked there or here."""

    list_display = ("email", "role", "project_link", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_filter = ("role", ("accepted_at", admin.EmptyFieldListFilter), "project")
    search_fields = ("email", "project__name", "project__account_id")
    list_select_related = ("project",)
    ordering = ("-id",)
    fields = ("email", "role", "project_link", "created_by", "created_at", "expires_at", "accepted_at", "revoked_at")
    readonly_fields = fields
    actions = ("revoke",)

    @admin.display(description="project", ordering="project__name")
    def project_link(self, invitation: Invitation) -> SafeString | str:
        return link(invitation.project)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("projects.change_invitation")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        def act(invitation: Invitation, by: Actor) -> str:
            team.revoke_invitation(invitation=invitation, by=by, now=timezone.now())
            return f"The link of {invitation.email} opens nothing any more."

        each(request, queryset.select_related("project"), act)


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    """Made on the project's page, where the value is shown once; revoked there or here."""

    list_display = ("kind", "masked", "label", "access", "project_link", "created_at", "last_used_at", "revoked_at")
    list_filter = ("kind", "access", ("revoked_at", admin.EmptyFieldListFilter), "project")
    search_fields = ("label", "last_four", "project__name", "project__account_id")
    list_select_related = ("project",)
    fields = (
        "kind",
        "masked",
        "label",
        "access",
        "project_link",
        "created_by",
        "created_at",
        "last_used_at",
        "revoked_at",
    )
    readonly_fields = fields
    actions = ("revoke", "rotate")

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
        def act(credential: Credential, by: Actor) -> str:
            revoke_credential(credential=credential, by=by, now=timezone.now())
            return f"{credential} is revoked. Programs that use it get 401 from now on."

        each(request, queryset, act)

    @admin.action(description="Rotate: revoke, and make another in its place", permissions=["revoke"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse:
        """The new values stand in this one answer and nowhere else."""
        made: list[tuple[Credential, str]] = []

        def act(credential: Credential, by: Actor) -> str:
            made.append(rotate_credential(credential=credential, by=by, now=timezone.now()))
            return f"{credential} is revoked; {made[-1][0]} takes its place."

        each(request, queryset, act)
        context = {**self.admin_site.each_context(request), "title": "New credentials", "made": made}
        answer = render(request, "admin/credentials_rotated.html", context)
        answer.headers["Cache-Control"] = "no-store"
        return answer
