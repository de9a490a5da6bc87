"""Who may open a project, and with which role."""

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404

from projects.access import project_for, projects_of, require_role, role_in
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
    require_role(user, project, Role.VIEWER, Role.ADMIN)
    with pytest.raises(PermissionDenied, match="role marketer or admin"):
        require_role(user, project, Role.MARKETER, Role.ADMIN)


def test_people_see_the_projects_that_they_belong_to():
    membership = MembershipFactory()
    ProjectFactory()
    assert list(projects_of(membership.user)) == [membership.project]
