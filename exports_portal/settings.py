"""Django settings, read from the environment and from what the supervisor wrote into PORTAL_DATA_DIR.

Every variable stands with a sentence in `.env.example`.
"""

import logging
from datetime import timedelta

from csp.constants import NONE, SELF
from environs import Env

from exports_portal import runtime
from exports_portal.compression import add_weak_etag
from exports_portal.logging import configure_structlog, logging_settings

env = Env()

PORTAL_DATA_DIR = runtime.data_dir()

SECRET_KEY = env.str("DJANGO_SECRET_KEY", "") or runtime.secret("django_secret_key")
PORTAL_ENCRYPTION_KEYS = runtime.encryption_keys(env.list("PORTAL_ENCRYPTION_KEYS", []))
PORTAL_HTTPS = env.bool("PORTAL_HTTPS", default=False)
PORTAL_PROXIES = env.int("PORTAL_PROXIES", default=int(PORTAL_HTTPS))
PORTAL_LEASE_SECONDS = env.int("PORTAL_LEASE_SECONDS", default=15)
PORTAL_MAX_SHARDS = env.int("PORTAL_MAX_SHARDS", default=4)
PORTAL_VALUE_CHARACTERS = env.int("PORTAL_VALUE_CHARACTERS", default=512)
PORTAL_EVENT_TYPES = env.int("PORTAL_EVENT_TYPES", default=512)
PORTAL_REFUSE_RESERVED_NAMES = env.bool("PORTAL_REFUSE_RESERVED_NAMES", default=False)
PORTAL_ROWS_PER_SHARD = env.int("PORTAL_ROWS_PER_SHARD", default=200_000)
PORTAL_UPLOADS_PER_SECOND = env.int("PORTAL_UPLOADS_PER_SECOND", default=1000)
PORTAL_REST_PER_SECOND = env.int("PORTAL_REST_PER_SECOND", default=1000)
PORTAL_SIGN_INS_PER_MINUTE = env.int("PORTAL_SIGN_INS_PER_MINUTE", default=60)
PORTAL_REQUEST_SECONDS = runtime.request_seconds()
PORTAL_BODY_BYTES = 5 * 2**20  # of forms and REST; uploads may have DATA_UPLOAD_MAX_MEMORY_SIZE
PORTAL_METRICS_TOKEN = env.str("PORTAL_METRICS_TOKEN", "")

DEBUG = env.bool("DJANGO_DEBUG", default=False)
# This machine itself may always ask: the health check of the container does.
ALLOWED_HOSTS = [*env.list("PORTAL_ALLOWED_HOSTS", ["localhost"]), "127.0.0.1"]
CSRF_TRUSTED_ORIGINS: list[str] = env.list("PORTAL_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.forms",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "exports_portal",
    "exports_portal.common",
    "projects",
    "events",
    "partners",
    "notifications",
    "sources",
    "exports",
]

MIDDLEWARE = [
    "exports_portal.common.timings.TimingMiddleware",
    "exports_portal.compression.CompressionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "exports_portal.common.limits.LimitsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "exports_portal.common.login.LoginMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "exports_portal.common.log_context.RequestLogMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "exports_portal.common.methods.NotAllowedMiddleware",
]

ROOT_URLCONF = "exports_portal.urls"
WSGI_APPLICATION = "exports_portal.wsgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [runtime.BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "projects.context.shell",
                "notifications.context.bell",
            ],
        },
    },
]

DATABASES = {"default": runtime.database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "projects.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_RESET_TIMEOUT = 86_400
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AXES_FAILURE_LIMIT = 10
AXES_CLIENT_IP_CALLABLE = "exports_portal.common.addresses.client_network"
AXES_USERNAME_FORM_FIELD = "username"  # as Django's sign-in form and backends name it; by default the model's field
AXES_USERNAME_CALLABLE = "projects.sign_ins.account_of"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "projects.sign_ins.locked"
AXES_COOLOFF_TIME = timedelta(minutes=10)
AXES_RESET_ON_SUCCESS = True
AXES_HANDLER = "projects.sign_ins.SignIns"
# Of a form their values are not kept; "password" never is.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "next", "old_password", "new_password1", "new_password2"]
AXES_ENABLE_ADMIN = False  # its pages let rows be changed: projects.admin has others

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # served from where they lie: nothing to collect before the start
WHITENOISE_ADD_HEADERS_FUNCTION = add_weak_etag
STATICFILES_DIRS = [runtime.BASE_DIR / "static"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PORTAL_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if PORTAL_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PORTAL_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(live|ready|metrics)$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PORTAL_HTTPS else None
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 2**20  # 1,000 records of 16 KB
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000

CELERY_BROKER_URL = runtime.redis_url()
# Without time-outs a worker would wait for ever on a Redis that hangs or whose host is gone (kombu, Redis transport).
# Longer than the second for which BRPOP may wait; whoever rings has shorter ones (common.bells).
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_DB_REUSE_MAX = 1_000  # tasks; by default Celery connects anew for each, which costs more than most of them
CELERY_TASK_DEFAULT_QUEUE = "bulk"
CELERY_TASK_ROUTES = {
    "exports.tasks.tick": {"queue": "tick"},
    "exports.tasks.erase": {"queue": "purge"},
    "exports.tasks.purge": {"queue": "purge"},
}
CELERY_BEAT_SCHEDULE = {
    "tick": {"task": "exports.tasks.tick", "schedule": 1.0, "options": {"queue": "tick", "expires": 5}},
    "sources": {"task": "sources.tasks.due", "schedule": 5.0, "options": {"queue": "bulk", "expires": 10}},
    "erase": {"task": "exports.tasks.erase", "schedule": 30.0, "options": {"queue": "purge", "expires": 30}},
    "purge": {"task": "exports.tasks.purge", "schedule": 60.0, "options": {"queue": "purge", "expires": 60}},
    "forget": {"task": "projects.tasks.forget", "schedule": 3600.0, "options": {"queue": "purge", "expires": 3600}},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

configure_structlog()
LOGGING = logging_settings(log_format=runtime.log_format(), level=env.str("LOG_LEVEL", "INFO"))
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO
# The tick runs every second: what a task did says the task itself.
DJANGO_STRUCTLOG_CELERY_DEFAULT_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_CELERY_TASK_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_CELERY_TASK_SUCCESS_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_CELERY_TASK_NOTICE_LOG_LEVEL = logging.DEBUG

globals().update(runtime.email(env.str("EMAIL_URL", "")))
PORTAL_URL = env.str("PORTAL_URL", runtime.addresses().get("web_url", "")).rstrip("/")
PORTAL_WEBHOOK_NETWORKS = runtime.networks("PORTAL_WEBHOOK_NETWORKS", env.list("PORTAL_WEBHOOK_NETWORKS", []))
PORTAL_SENDS_MAIL = bool(env.str("EMAIL_URL", ""))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("PORTAL_EMAIL_FROM", "portal@localhost")

AMPLITUDE_STANDARD_URL = runtime.amplitude_url("AMPLITUDE_STANDARD_URL", env.str("AMPLITUDE_STANDARD_URL", ""))
AMPLITUDE_EU_URL = runtime.amplitude_url("AMPLITUDE_EU_URL", env.str("AMPLITUDE_EU_URL", ""))
# In the demo the supervisor's sandbox stands in for each address that is not given: by accident nothing goes out.
PORTAL_SANDBOX: list[str] = []  # the regions that it stands in for
if "sandbox_standard_url" in runtime.addresses() and not AMPLITUDE_STANDARD_URL:
    AMPLITUDE_STANDARD_URL = runtime.addresses()["sandbox_standard_url"]
    PORTAL_SANDBOX.append("Standard")
if "sandbox_eu_url" in runtime.addresses() and not AMPLITUDE_EU_URL:
    AMPLITUDE_EU_URL = runtime.addresses()["sandbox_eu_url"]
    PORTAL_SANDBOX.append("Europe")

# In place of CleverTap's hosts, for tests: a source's region decides otherwise.
CLEVERTAP_URL = runtime.amplitude_url("CLEVERTAP_URL", env.str("CLEVERTAP_URL", ""))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["projects.api_auth.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["projects.api_auth.ProjectThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["exports_portal.common.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "exports_portal.common.paging.SizedPages",
    "EXCEPTION_HANDLER": "exports_portal.common.api.handle",
    "URL_FORMAT_OVERRIDE": None,  # ?format= is a filter of exports
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Exports Portal",
    "DESCRIPTION": "Integrations, exports, their runs and the catalogue of events of the project that the token names.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "CredentialKindEnum": "projects.models.Credential.Kind",
        "EventKindEnum": "events.models.EventName.Kind",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
