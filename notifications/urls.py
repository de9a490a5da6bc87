from django.urls import path

from notifications import views

ROOT = "<str:account_id>/settings/notifications/"

app_name = "notifications"
urlpatterns = [
    path(ROOT, views.notification_list, name="notification-list"),
    path(f"{ROOT}test/", views.notification_test, name="notification-test"),
    path(f"{ROOT}webhook/", views.webhook_edit, name="webhook-edit"),
    path(f"{ROOT}webhook/remove/", views.webhook_remove, name="webhook-remove"),
]
