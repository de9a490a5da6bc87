from django.urls import path

from events import schema_views, views

app_name = "events"

urlpatterns = [
    path("<str:account_id>/events/", views.event_list, name="event-list"),
    path("<str:account_id>/settings/schema/", schema_views.name_list, name="schema-list"),
    path("<str:account_id>/settings/schema/stream/", schema_views.stream, name="schema-stream"),
    path("<str:account_id>/settings/schema/<int:pk>/", schema_views.name_view, name="schema-name"),
    path("<str:account_id>/settings/schema/<int:pk>/discard/", schema_views.name_discard, name="schema-discard"),
    path("<str:account_id>/settings/schema/<int:pk>/restore/", schema_views.name_restore, name="schema-restore"),
    path("<str:account_id>/profiles/", views.profile_list, name="profile-list"),
    path("<str:account_id>/profiles/<int:pk>/", views.profile_view, name="profile-view"),
]
