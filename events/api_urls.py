"""CleverTap's API, below /1/."""

from django.urls import path, re_path

from events import api, api_calls, api_profile_reads, api_profiles, api_reads

urlpatterns = [
    path("upload", api.upload, name="clevertap-upload"),
    path("events.json", api_reads.events),
    path("counts/events.json", api_reads.count_events),
    path("counts/profiles.json", api_reads.count_profiles),
    path("profiles.json", api_profile_reads.profiles),
    path("profile.json", api_profiles.profile),
    path("delete/profiles.json", api_profiles.delete),
    path("demerge/profiles.json", api_profiles.demerge_profiles),
    re_path("^(?P<path>.*)$", api_calls.not_offered),
]
