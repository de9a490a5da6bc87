from django.contrib.auth import views as auth_views
from django.urls import include, path

from projects import audit_views, password_views, team_views, views
from projects.login_views import SignIn

project_patterns = (
    [
        path("project/", views.project_edit, name="project-edit"),
        path("project/credentials/new/", views.credential_new, name="credential-new"),
        path("project/credentials/<int:pk>/revoke/", views.credential_revoke, name="credential-revoke"),
        path("project/audit/", audit_views.audit_list, name="audit-list"),
        path("project/audit.csv", audit_views.audit_csv, name="audit-csv"),
        path("team/", team_views.team_list, name="team-list"),
        path("team/invite/", team_views.invite, name="team-invite"),
        path("team/invitations/<int:pk>/revoke/", team_views.invitation_revoke, name="invitation-revoke"),
        path("team/<int:pk>/role/", team_views.member_role, name="member-role"),
        path("team/<int:pk>/password/", team_views.member_password, name="member-password"),
        path("team/<int:pk>/remove/", team_views.member_remove, name="member-remove"),
    ],
    "projects",
)

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("password/", password_views.PasswordChange.as_view(), name="password-change"),
    path("password/reset/", password_views.PasswordReset.as_view(), name="password-reset"),
    path("password/reset/sent/", password_views.PasswordResetSent.as_view(), name="password-reset-sent"),
    path(
        "password/reset/<uidb64>/<token>/",
        password_views.PasswordResetConfirm.as_view(),
        name="password-reset-confirm",
    ),
    path("invitation/<str:token>/", team_views.invitation, name="invitation"),
    path("<str:account_id>/settings/", include(project_patterns)),
]
