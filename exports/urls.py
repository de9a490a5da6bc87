from django.urls import path

from exports import views

app_name = "exports"

ROOT = "<str:account_id>/settings/partners/exports/"

urlpatterns = [
    path(ROOT, views.export_list, name="export-list"),
    path(ROOT + "rows/", views.export_rows, name="export-rows"),
    path(ROOT + "new/<slug:partner>/", views.export_new, name="export-new"),
    path(ROOT + "<int:pk>/", views.export_view, name="export-view"),
    path(ROOT + "<int:pk>/edit/", views.export_edit, name="export-edit"),
    path(ROOT + "<int:pk>/stop/", views.export_stop, name="export-stop"),
    path(ROOT + "<int:pk>/retry/", views.export_retry, name="export-retry"),
    path(ROOT + "<int:pk>/run-now/", views.export_run_now, name="export-run-now"),
]
