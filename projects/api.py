"""REST: the project itself, its credentials, its team and its audit log. Every view is one call of a verb or a read."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from exports_portal.common import audit
from exports_portal.common.addresses import site_of
from exports_portal.common.api import ProjectView, StrictSerializer, Word
from exports_portal.common.audit_log import AuditFilter
from exports_portal.common.files import csv_file
from exports_portal.common.filters import ProjectFilters
from exports_portal.common.models import AuditEntry
from projects import access, actions, credentials, team
from projects.models import LEAST_DAYS, Credential, Invitation, Membership, Project, Role
from projects.retention import field_of

KEEPS = [field_of(name) for name in LEAST_DAYS]


class ProjectSerializer(serializers.ModelSerializer):
    class Meta:
        model = Project
        fields = ["account_id", "name", "timezone", *KEEPS, "created_at"]
        read_only_fields = fields


class ProjectInput(StrictSerializer):
    """What is left out stays."""

    name = serializers.CharField(required=False)
    timezone = serializers.CharField(required=False, help_text="an IANA name such as Asia/Kolkata")

    def get_fields(self) -> dict[str, Any]:
        help_text = "days; null keeps them for ever"
        days = {name: serializers.IntegerField(required=False, allow_null=True, help_text=help_text) for name in KEEPS}
        return {**super().get_fields(), **days}


class ProjectSettingsView(ProjectView):
    serializer_class = ProjectSerializer

    @extend_schema(operation_id="project_retrieve")
    def get(self, request: Request) -> Response:
        """The project that the token names."""
        return Response(ProjectSerializer(self.project).data)

    @extend_schema(operation_id="project_update", request=ProjectInput, responses=ProjectSerializer)
    def patch(self, request: Request) -> Response:
        """Change its name, time zone, or for how long it keeps its data. Runs that exist keep their windows."""
        given = self.given(ProjectInput, partial=True)
        keeps = {name: given.pop(field) for name, field in zip(LEAST_DAYS, KEEPS, strict=True) if field in given}
        project = actions.edit_project(project=self.project, **given, retention=keeps, by=self.by, now=self.now)
        return Response(ProjectSerializer(project).data)


class CredentialSerializer(serializers.ModelSerializer):
    """Of a value only the last four characters can be read again."""

    class Meta:
        model = Credential
        fields = ["id", "kind", "label", "access", "last_four", "created_at", "last_used_at", "revoked_at"]
        read_only_fields = fields


class NewCredentialSerializer(CredentialSerializer):
    value = serializers.CharField(read_only=True, help_text="shown in this answer only")

    class Meta(CredentialSerializer.Meta):
        fields = [*CredentialSerializer.Meta.fields, "value"]
        read_only_fields = fields


class CredentialInput(StrictSerializer):
    """A new passcode (for programs that send events) or API token (for programs that manage exports)."""

    kind = Word(Credential.Kind.values)
    label = serializers.CharField(required=False, allow_blank=True)  # type: ignore[assignment]
    access = Word(Credential.Access.values, required=False, help_text="of a token; full when left out")


class CredentialViewSet(ProjectView, GenericViewSet):
    """Passcodes and API tokens."""

    serializer_class = CredentialSerializer
    lookup_value_converter = "int"
    queryset = Credential.objects.none()

    def get_queryset(self) -> QuerySet[Credential]:
        return self.project.credentials.select_related("project").order_by("-id")

    def list(self, request: Request) -> Response:
        """The credentials of the project, newest first, revoked ones too."""
        return self.listed(self.get_queryset(), CredentialSerializer)

    @extend_schema(request=CredentialInput, responses={201: NewCredentialSerializer})
    def create(self, request: Request) -> Response:
        """Create a credential. Its value stands in this answer only."""
        given = self.given(CredentialInput)
        return self._made(credentials.create_credential(project=self.project, **given, by=self.by, now=self.now))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: int) -> Response:
        """Refuse it from now on; 200 also when it is revoked already."""
        credential = get_object_or_404(self.get_queryset(), pk=pk)
        credentials.revoke_credential(credential=credential, by=self.by, now=self.now)
        return Response(CredentialSerializer(credential).data)

    @extend_schema(request=None, responses={201: NewCredentialSerializer})
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: int) -> Response:
        """Revoke it, and make another like it in its place; its value stands in this answer only. 409 when revoked."""
        credential = get_object_or_404(self.get_queryset(), pk=pk)
        return self._made(credentials.rotate_credential(credential=credential, by=self.by, now=self.now))

    def _made(self, made: tuple[Credential, str]) -> Response:
        credential, value = made
        return Response({**CredentialSerializer(credential).data, "value": value}, status=201)


class MemberSerializer(serializers.ModelSerializer):
    email = serializers.EmailField(source="user.email", read_only=True)
    last_login = serializers.DateTimeField(source="user.last_login", read_only=True, allow_null=True)

    class Meta:
        model = Membership
        fields = ["id", "email", "role", "created_at", "last_login"]
        read_only_fields = fields


class PasswordLinkSerializer(serializers.Serializer):
    link = serializers.URLField(help_text="to be passed on to the member; shown in this answer only")


class MemberInput(StrictSerializer):
    role = Word(Role.values)


class MemberViewSet(ProjectView, GenericViewSet):
    """The members of the project."""

    serializer_class = MemberSerializer
    lookup_value_converter = "int"
    queryset = Membership.objects.none()

    def get_queryset(self) -> QuerySet[Membership]:
        return self.project.memberships.select_related("user", "project").order_by("user__email")

    def list(self, request: Request) -> Response:
        """Who belongs to the project, by address."""
        return self.listed(self.get_queryset(), MemberSerializer)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One member."""
        return Response(MemberSerializer(self._own(pk)).data)

    @extend_schema(request=MemberInput, responses=MemberSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Give a member another role. 409 for the last admin."""
        role = self.given(MemberInput)["role"]
        changed = team.change_role(membership=self._own(pk), role=role, by=self.by, now=self.now)
        return Response(MemberSerializer(changed).data)

    def destroy(self, request: Request, pk: int) -> Response:
        """Take a member out of the project. 409 for the last admin."""
        team.remove_member(membership=self._own(pk), by=self.by, now=self.now)
        return Response(status=204)

    @extend_schema(request=None, responses={201: PasswordLinkSerializer})
    @action(detail=True, methods=["post"], url_path="password-link")
    def password_link(self, request: Request, pk: int) -> Response:
        """Make a link, good for a day and once, with which the member sets a new password.

        403 for somebody who is in other projects, too, or has rights in the admin: a superuser makes theirs. 409 for
        somebody who is deactivated.
        """
        path = team.password_link(membership=self._own(pk), by=self.by, now=self.now)
        return Response({"link": f"{site_of(request)}{path}"}, status=201)

    def _own(self, pk: int) -> Membership:
        return get_object_or_404(self.get_queryset(), pk=pk)


class InvitationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "created_at", "expires_at"]
        read_only_fields = fields


class NewInvitationSerializer(InvitationSerializer):
    link = serializers.URLField(read_only=True, help_text="to be passed on; shown in this answer only")
    mailed = serializers.BooleanField(read_only=True, help_text="whether a mail server took it for the address, too")

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "link", "mailed"]
        read_only_fields = fields


class InvitationInput(StrictSerializer):
    email = serializers.CharField()
    role = Word(Role.values)


class InvitationViewSet(ProjectView, GenericViewSet):
    """Invitations that nobody has accepted yet. For admins."""

    serializer_class = InvitationSerializer
    lookup_value_converter = "int"
    queryset = Invitation.objects.none()

    def get_queryset(self) -> QuerySet[Invitation]:
        access.require(self.by, self.project, Role.ADMIN)
        return self.project.invitations.open(timezone.now()).select_related("project").order_by("-id")

    def list(self, request: Request) -> Response:
        """The open invitations, newest first."""
        return self.listed(self.get_queryset(), InvitationSerializer)

    @extend_schema(request=InvitationInput, responses={201: NewInvitationSerializer})
    def create(self, request: Request) -> Response:
        """Invite somebody. The link stands in this answer and the mail only; it is good for 7 days, and once."""
        who = {**self.given(InvitationInput), "site": site_of(request)}
        made = team.invite(project=self.project, **who, by=self.by, now=self.now)
        shown = {**InvitationSerializer(made.invitation).data, "link": made.link, "mailed": made.mailed}
        return Response(shown, status=201)

    def destroy(self, request: Request, pk: int) -> Response:
        """Revoke an invitation: its link opens nothing any more."""
        invitation = get_object_or_404(self.get_queryset(), pk=pk)
        team.revoke_invitation(invitation=invitation, by=self.by, now=self.now)
        return Response(status=204)


class AuditSerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditEntry
        fields = ["id", "at", "actor", "address", "action", "target_type", "target_id", "before", "after"]
        read_only_fields = fields


class AuditViewSet(ProjectView, GenericViewSet):
    """The audit log of the project. For admins."""

    serializer_class = AuditSerializer
    queryset = AuditEntry.objects.none()
    filter_backends: Sequence[Any] = [ProjectFilters]
    filterset_class = AuditFilter
    parameters = AuditFilter.base_filters

    def get_queryset(self) -> QuerySet[AuditEntry]:
        access.require(self.by, self.project, Role.ADMIN)
        return AuditEntry.objects.all()

    def list(self, request: Request) -> Response:
        """Who did what, when, from which address, and from what to what; newest first."""
        return self.listed(self.filter_queryset(self.get_queryset()), AuditSerializer)

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    @action(detail=False, methods=["get"], url_path="log.csv", url_name="csv")
    def as_csv(self, request: Request) -> Any:
        """The same as a CSV file, oldest first, safe to open in a spreadsheet."""
        self.take_only(*self.parameters)
        rows: StreamingHttpResponse = csv_file(audit.as_csv(self.filter_queryset(self.get_queryset())), "audit")
        return rows
