from django.contrib.auth import views as auth_views
from django.urls import include, path

from projects import views

project_patterns = (
    [
        path("project/", views.project_edit, name="project-edit"),
        path("project/credentials/new/", views.credential_new, name="credential-new"),
        path("project/credentials/<int:pk>/revoke/", views.credential_revoke, name="credential-revoke"),
        path("team/", views.team_list, name="team-list"),
    ],
    "projects",
)

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path(
        "password/",
        auth_views.PasswordChangeView.as_view(
            template_name="registration/password_change.html", success_url="/password/done/"
        ),
        name="password-change",
    ),
    path("password/done/", views.password_changed, name="password-changed"),
    path("<str:account_id>/settings/", include(project_patterns)),
]
