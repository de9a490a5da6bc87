"""CleverTap's API, below /1/."""

from django.urls import path

from events import api, api_profiles

urlpatterns = [
    path("upload", api.upload, name="clevertap-upload"),
    path("profile.json", api_profiles.profile),
    path("delete/profiles.json", api_profiles.delete),
    path("demerge/profiles.json", api_profiles.demerge_profiles),
]
