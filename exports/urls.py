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
    path(ROOT + "<int:pk>/rejected.csv", views.rejected_csv, name="rejected-csv"),
    path(ROOT + "<int:pk>/resend/", views.rejected_resend, name="rejected-resend"),
    path(ROOT + "<int:pk>/duplicate/", views.export_duplicate, name="export-duplicate"),
    path(ROOT + "<int:pk>/continue/", views.export_continue, name="export-continue"),
    path(ROOT + "<int:pk>/run-now/", views.export_run_now, name="export-run-now"),
]
