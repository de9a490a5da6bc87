from django.urls import include, path

from sources import views

app_name = "sources"

patterns = [
    path("", views.source_list, name="source-list"),
    path("new/", views.source_new, name="source-new"),
    path("<int:pk>/", views.source_view, name="source-view"),
    path("<int:pk>/edit/", views.source_edit, name="source-edit"),
    path("<int:pk>/stop/", views.source_stop, name="source-stop"),
    path("<int:pk>/retry/", views.source_retry, name="source-retry"),
    path("<int:pk>/again/", views.source_again, name="source-again"),
]
urlpatterns = [path("<str:account_id>/settings/project/sources/", include(patterns))]
