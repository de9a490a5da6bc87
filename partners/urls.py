from django.urls import path

from partners import views

app_name = "partners"

ROOT = "<str:account_id>/settings/partners/"

urlpatterns = [
    path(ROOT, views.partner_list, name="partner-list"),
    path(ROOT + "<slug:partner>/new/", views.integration_new, name="integration-new"),
    path(ROOT + "integrations/<int:pk>/edit/", views.integration_edit, name="integration-edit"),
    path(ROOT + "integrations/<int:pk>/disconnect/", views.integration_disconnect, name="integration-disconnect"),
]
