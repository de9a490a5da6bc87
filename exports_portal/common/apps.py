from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "exports_portal.common"
    label = "common"
