"""The verbs of a team: invitations, roles, and links for a new password."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from exports_portal.common.audit import Actor, Grant
from exports_portal.common.errors import Invalid, Refused
from exports_portal.common.models import AuditEntry
from projects import access, team
from projects.actions import set_password
from projects.models import Invitation, Membership, Role, User
from projects.password_links import password_links
from tests.factories import PASSWORD, TESTS, MembershipFactory, ProjectFactory, UserFactory
from tests.projects.racing import while_uncommitted

pytestmark = pytest.mark.django_db


def act(verb, by=TESTS, **what):
    return verb(**what, by=by, now=timezone.now())


def actor(user):
    return Actor(user.pk, user.email)


def invited(project, email="mira@example.com", role="marketer"):
    invitation, path, _ = act(team.invite, project=project, email=email, role=role)
    return invitation, path.split("/")[-2]


def test_an_invitation_makes_a_new_user_a_member_once():
    project = ProjectFactory()
    invitation, token = invited(project, " Mira@Example.com ")
    assert team.invitation_of(token, now=timezone.now()) == invitation
    user = act(team.accept, invitation=invitation, user=None, password=PASSWORD)
    assert user.check_password(PASSWORD)
    assert project.memberships.get().role == "marketer"
    assert team.invitation_of(token, now=timezone.now()) is None
    with pytest.raises(Refused, match="not valid"):
        act(team.accept, invitation=invitation, user=None, password=PASSWORD)


def test_of_its_link_only_a_digest_is_kept():
    project = ProjectFactory()
    _, token = invited(project)
    assert len(token) == 43  # 32 bytes in base 64
    assert token not in str(list(Invitation.objects.values())) + str(list(AuditEntry.objects.values()))


def test_an_invitation_ends_after_a_week_when_revoked_or_when_a_newer_one_is_made():
    project = ProjectFactory()
    _, token = invited(project)
    assert team.invitation_of(token, now=timezone.now() + timedelta(days=8)) is None
    second, other = invited(project)
    assert team.invitation_of(token, now=timezone.now()) is None
    act(team.revoke_invitation, invitation=second)
    act(team.revoke_invitation, invitation=second)
    assert team.invitation_of(other, now=timezone.now()) is None
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["invitation.create", "invitation.revoke", "invitation.create", "invitation.revoke"]


@pytest.mark.django_db(transaction=True)
def test_two_who_invite_the_same_at_once_leave_one_link():
    project = ProjectFactory()
    while_uncommitted(lambda: invited(project), lambda: invited(project))
    assert project.invitations.open(timezone.now()).count() == 1


def test_a_weak_password_takes_nothing():
    invitation, token = invited(ProjectFactory())
    with pytest.raises(Invalid) as caught:
        act(team.accept, invitation=invitation, user=None, password="12345")
    assert set(caught.value.errors) == {"password"}
    assert team.invitation_of(token, now=timezone.now()) == invitation
    assert not User.objects.exists()


def test_an_account_that_exists_is_taken_by_its_owner_only():
    owner, other = UserFactory(email="mira@example.com"), UserFactory()
    invitation, _ = invited(ProjectFactory())
    with pytest.raises(Invalid, match="already"):
        act(team.accept, invitation=invitation, user=None, password=PASSWORD)
    with pytest.raises(Refused, match="Sign in with that address"):
        act(team.accept, invitation=invitation, user=other, by=actor(other))
    act(team.accept, invitation=invitation, user=owner, by=actor(owner))
    assert Membership.objects.get().user == owner


@pytest.mark.parametrize(("given", "field"), [({"email": "mira"}, "email"), ({"role": "root"}, "role")])
def test_a_wrong_invitation_is_told_at_its_field(given, field):
    with pytest.raises(Invalid) as caught:
        act(team.invite, **{"project": ProjectFactory(), "email": "mira@example.com", "role": "viewer", **given})
    assert set(caught.value.errors) == {field}


def test_a_member_is_not_invited_again():
    membership = MembershipFactory()
    with pytest.raises(Invalid, match="a member already"):
        invited(membership.project, membership.user.email)


def test_roles_change_and_the_last_admin_stays():
    admin = MembershipFactory(role=Role.ADMIN)
    viewer = MembershipFactory(project=admin.project, role=Role.VIEWER)
    for verb, what in ((team.change_role, {"role": "viewer"}), (team.remove_member, {})):
        with pytest.raises(Refused, match="needs an admin"):
            act(verb, membership=admin, **what)
    act(team.change_role, membership=viewer, role="admin")
    act(team.remove_member, membership=admin)
    assert list(viewer.project.memberships.values_list("role", flat=True)) == ["admin"]
    entries = AuditEntry.objects.filter(project_id=viewer.project_id).order_by("id")
    assert [(entry.action, entry.before.get("role")) for entry in entries] == [
        ("member.role", "viewer"),
        ("member.remove", "admin"),
    ]
    with pytest.raises(Refused, match="meanwhile"):
        act(team.remove_member, membership=Membership(pk=0, project=viewer.project))


def demoted(membership):
    act(team.change_role, membership=membership, role="marketer")


def removed(membership):
    act(team.remove_member, membership=membership)


def deleted(membership):
    act(team.delete_user, user=membership.user)


def deactivated(membership):
    act(team.prepare_deactivation, user=membership.user)


@pytest.mark.parametrize("leave", [demoted, removed, deleted, deactivated])
def test_who_is_no_admin_any_more_comes_back_by_no_invitation_of_their_own(leave):
    other = MembershipFactory(role=Role.ADMIN)
    leaver = MembershipFactory(project=other.project, role=Role.ADMIN)
    links = {}
    for member in (leaver, other):
        email = f"friend-of-{member.pk}@example.com"
        made = act(team.invite, by=actor(member.user), project=other.project, email=email, role="admin")
        links[member] = made.link.split("/")[-2]
    leave(leaver)
    assert team.invitation_of(links[leaver], now=timezone.now()) is None
    assert team.invitation_of(links[other], now=timezone.now()) is not None
    assert AuditEntry.objects.filter(action="invitation.revoke", project_id=other.project_id).count() == 1


def test_with_a_deleted_superuser_their_invitations_to_any_project_end():
    root, project = UserFactory(superuser=True), ProjectFactory()
    made = act(team.invite, by=actor(root), project=project, email="mira@example.com", role="admin")
    act(team.delete_user, user=root)
    assert team.invitation_of(made.link.split("/")[-2], now=timezone.now()) is None


def test_an_admin_may_step_down_with_open_invitations():
    other = MembershipFactory(role=Role.ADMIN)
    leaver = MembershipFactory(project=other.project, role=Role.ADMIN)
    act(team.invite, by=actor(leaver.user), project=other.project, email="mira@example.com", role="viewer")
    act(team.change_role, by=actor(leaver.user), membership=leaver, role="viewer")
    assert not other.project.invitations.open(timezone.now()).exists()


def test_the_team_is_for_admins():
    admin = MembershipFactory(role=Role.ADMIN)
    project = admin.project
    marketer = MembershipFactory(project=project, role=Role.MARKETER)
    stranger = MembershipFactory(role=Role.ADMIN)
    invitation, _ = invited(project)
    verbs = (
        (team.invite, {"project": project, "email": "a@example.com", "role": "viewer"}),
        (team.revoke_invitation, {"invitation": invitation}),
        (team.change_role, {"membership": marketer, "role": "admin"}),
        (team.remove_member, {"membership": marketer}),
        (team.password_link, {"membership": admin}),
    )
    reader = Actor(None, "API token", grant=Grant(project.pk, Role.VIEWER))
    for verb, what in verbs:
        for by in (actor(marketer.user), actor(stranger.user), reader):
            with pytest.raises(PermissionDenied):
                act(verb, by=by, **what)


def test_nobody_is_above_who_may_do_more():
    admin = MembershipFactory(role=Role.ADMIN)
    project = admin.project
    own, shared, staff = (MembershipFactory(project=project, role=Role.VIEWER).user for _ in range(3))
    elsewhere = MembershipFactory(user=shared, role=Role.VIEWER)
    staff.is_staff = True
    staff.save()
    assert [access.is_above(actor(admin.user), user) for user in (own, shared, staff)] == [True, False, False]
    MembershipFactory(project=elsewhere.project, user=admin.user, role=Role.ADMIN)
    assert access.is_above(actor(admin.user), shared)
    assert access.is_above(actor(UserFactory(superuser=True)), staff)
    full, reader = (Actor(None, "API token", grant=Grant(project.pk, role)) for role in (Role.ADMIN, Role.VIEWER))
    assert [access.is_above(full, user) for user in (own, shared, staff)] == [True, False, False]
    assert not access.is_above(reader, own)
    viewer = MembershipFactory(project=project, role=Role.VIEWER)
    assert not access.is_above(actor(viewer.user), own)


def token_of(path):
    return path.split("/")[-2]


def test_a_password_link_ends_with_the_reason_for_it():
    admin = MembershipFactory(role=Role.ADMIN)
    other = MembershipFactory(project=admin.project, role=Role.ADMIN)
    member = MembershipFactory(project=admin.project, role=Role.VIEWER)
    bystander = MembershipFactory(project=admin.project, role=Role.VIEWER)

    def link():
        return token_of(act(team.password_link, membership=member, by=actor(admin.user)))

    def is_good(token):
        return password_links.check_token(User.objects.get(pk=member.user_id), token)

    first = link()
    assert is_good(first)
    act(team.remove_member, membership=bystander)
    assert is_good(first)
    joined = MembershipFactory(user=member.user, role=Role.ADMIN)
    assert not is_good(first)
    act(team.remove_member, membership=MembershipFactory(project=joined.project, role=Role.ADMIN))
    joined.delete()
    second = link()
    act(team.change_role, membership=member, role="marketer")
    assert not is_good(second)
    third = link()
    act(team.remove_member, membership=admin, by=actor(other.user))
    assert not is_good(third)


def test_links_and_new_passwords_stand_in_the_projects_audit_log():
    member = MembershipFactory(role=Role.VIEWER)
    second = MembershipFactory(user=member.user, role=Role.VIEWER)
    act(team.password_link, membership=member)
    act(set_password, user=member.user, password="a much better passphrase")
    entries = AuditEntry.objects.order_by("id").values_list("action", "project_id", "after")
    about = {"email": member.user.email}
    assert list(entries) == [
        ("user.password_link", member.project_id, about),
        ("user.password", member.project_id, about),
        ("user.password", second.project_id, about),
    ]


def test_a_user_leaves_the_projects_before_the_account_is_deleted():
    admin = MembershipFactory(role=Role.ADMIN)
    user = admin.user
    with pytest.raises(Refused, match="needs an admin"):
        act(team.delete_user, user=user)
    MembershipFactory(project=admin.project, role=Role.ADMIN)
    with pytest.raises(PermissionDenied, match="Ask a superuser"):
        act(team.delete_user, user=user, by=actor(MembershipFactory(role=Role.ADMIN).user))
    pk = user.pk
    act(team.delete_user, user=user)
    assert not User.objects.filter(pk=pk).exists()
    entries = AuditEntry.objects.order_by("id").values_list("action", "project_id", "before__email")
    assert list(entries) == [("member.remove", admin.project_id, user.email), ("user.delete", None, user.email)]


def test_the_deactivated_get_no_link():
    member = MembershipFactory(user__is_active=False)
    with pytest.raises(Refused, match="deactivated"):
        act(team.password_link, membership=member)
