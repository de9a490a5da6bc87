"""CleverTap's API, below /1/."""

from django.urls import path

from events import api

urlpatterns = [path("upload", api.upload, name="clevertap-upload")]
