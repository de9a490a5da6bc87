"""The portal's settings with what only tests need: cheap password hashes and templates that name what is missing."""

from exports_portal.settings import *  # noqa: F403 the tests run on the real settings
from exports_portal.settings import DATABASES, LOGGING

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # only speed matters here
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PORTAL_SENDS_MAIL = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
DATABASES["default"]["OPTIONS"]["options"] = "-c portal.flush=on"  # emptied between tests; the audit log refuses else
# A live server's threads end with their connections, or the test database could not be dropped.
DATABASES["default"]["CONN_MAX_AGE"] = 0

LOGGING = {
    **LOGGING,
    "filters": {**LOGGING.get("filters", {}), "undefined": {"()": "tests.templates.UndefinedVariables"}},
    "loggers": {
        **LOGGING["loggers"],
        "django.template": {"level": "DEBUG", "filters": ["undefined"], "propagate": False},
    },
}
