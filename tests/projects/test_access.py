"""Who may open a project, and with which role."""

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404

from exports_portal.common.audit import PORTAL, Actor, Grant
from projects.access import EDITORS, project_for, projects_of, require, require_superuser, role_in
from projects.models import Role
from tests.factories import MembershipFactory, ProjectFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_members_open_their_project_strangers_get_404():
    membership = MembershipFactory(role=Role.VIEWER)
    assert project_for(membership.user, membership.project.account_id) == membership.project
    for user, account_id in (
        (UserFactory(), membership.project.account_id),
        (membership.user, ProjectFactory().account_id),
        (membership.user, "NOP-E00-0000"),
    ):
        with pytest.raises(Http404):
            project_for(user, account_id)


def test_a_superuser_opens_every_project_as_an_admin():
    root, project = UserFactory(superuser=True), ProjectFactory()
    assert project_for(root, project.account_id) == project
    assert role_in(root, project) == Role.ADMIN
    assert list(projects_of(root)) == [project]


def test_roles_are_those_of_the_membership():
    membership = MembershipFactory(role=Role.VIEWER)
    user, project = membership.user, membership.project
    assert role_in(user, project) == Role.VIEWER
    assert role_in(UserFactory(), project) is None
    by = Actor(user.pk, user.email)
    assert require(by, project, Role.VIEWER, Role.ADMIN) == Role.VIEWER
    with pytest.raises(PermissionDenied, match="role marketer or admin"):
        require(by, project, *EDITORS)


def test_who_left_or_was_switched_off_may_nothing():
    membership = MembershipFactory(role=Role.ADMIN)
    user, project = membership.user, membership.project
    by = Actor(user.pk, user.email)
    user.is_active = False
    user.save()
    with pytest.raises(PermissionDenied):
        require(by, project, *Role)
    user.is_active = True
    user.save()
    require(by, project, Role.ADMIN)
    membership.delete()
    with pytest.raises(PermissionDenied):
        require(by, project, *Role)


def test_a_token_has_its_role_in_its_own_project_only():
    project, other = ProjectFactory(), ProjectFactory()
    program = Actor(None, "API token", grant=Grant(project.pk, Role.VIEWER))
    assert require(program, project, Role.VIEWER) == Role.VIEWER
    for where, roles in ((project, EDITORS), (other, tuple(Role))):
        with pytest.raises(PermissionDenied):
            require(program, where, *roles)


def test_what_belongs_to_no_project_is_for_superusers():
    admin, root = MembershipFactory(role=Role.ADMIN).user, UserFactory(superuser=True)
    require_superuser(PORTAL)
    require_superuser(Actor(root.pk, root.email))
    for by in (Actor(admin.pk, admin.email), Actor(None, "API token", grant=Grant(1, Role.ADMIN))):
        with pytest.raises(PermissionDenied, match="superuser"):
            require_superuser(by)


def test_people_see_the_projects_that_they_belong_to():
    membership = MembershipFactory()
    ProjectFactory()
    assert list(projects_of(membership.user)) == [membership.project]
