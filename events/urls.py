from django.urls import path

from events import views

app_name = "events"

urlpatterns = [
    path("<str:account_id>/events/", views.event_list, name="event-list"),
    path("<str:account_id>/profiles/", views.profile_list, name="profile-list"),
    path("<str:account_id>/profiles/<int:pk>/", views.profile_view, name="profile-view"),
]
