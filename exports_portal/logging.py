"""Log lines that a person can follow and a program can parse: one shape for web, workers, beat and commands.

    2026-11-23T10:00:00Z info batch.delivered run=12 shard=0 events=2000 status=200 ms=41

JSON with LOG_FORMAT=json. `structlog.get_logger()` in our code; the standard library's records take the same way.
"""

import json
import logging
import logging.config
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

SECRET_KEYS = frozenset({"api_key", "authorization", "cookie", "passcode", "password", "secret", "token"})
SECRET_LINKS = re.compile(r"(/invitation/|/password/reset/|%2Finvitation%2F)[^\s?&#]+")
LEADING = ("timestamp", "level", "event", "logger", "exception")
FIRST = ("project", "export", "run", "shard")  # of the pairs: what a line is about
CELERY_IDS = frozenset({"task_id", "parent_task_id"})  # in JSON only: a message is no more than a bell
HEALTH_REQUESTS = frozenset(f"{method} /{path}" for method in ("GET", "HEAD") for path in ("live", "ready", "metrics"))
# What a library says that is not our business below its level.
LIBRARY_LEVELS = {
    "axes": "WARNING",
    "celery": "WARNING",
    "django": "INFO",
    "django.request": "CRITICAL",  # django-structlog writes request_finished, and request_failed with the traceback
    "django.security.DisallowedHost": "CRITICAL",  # scanners ask for all kinds of names
    "django.server": "WARNING",
    "django.template": "INFO",
    "gunicorn.http.wsgi": "ERROR",  # that it drops the body of each answer to HEAD
    "kombu": "WARNING",
    "urllib3": "WARNING",
}


def mask_secrets(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whoever logs a secret by its name logs three stars."""
    for key in SECRET_KEYS & line.keys():
        line[key] = "***"
    return line


def drop_nothings(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A pair without a value says nothing, in either shape."""
    for key in [key for key, value in line.items() if value is None]:
        del line[key]
    return line


def mask_links(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The links of invitations and new passwords are secrets that stand in addresses."""
    for key, value in line.items():
        if isinstance(value, str) and "/" in value:
            line[key] = SECRET_LINKS.sub(r"\1***", value)
    return line


def drop_queries(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What people searched for and which profile a program asked for are personal data."""
    if isinstance(line.get("request"), str):
        line["request"] = line["request"].partition("?")[0]
    return line


def drop_health_requests(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Machines ask for our health every few seconds; that is no news."""
    if line.get("request") in HEALTH_REQUESTS and line.get("event") == "request_finished":
        raise structlog.DropEvent
    return line


def render_line(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> str:
    """`time level event key=value …`; an exception's traceback follows on lines of its own.

    Those are indented: a message of an exception may have lines that look like ours.
    """
    event = _printable(str(line["event"]))
    if "logger" in line:
        event = f"{line['logger']}: {event}"
    keys = [*(key for key in FIRST if key in line), *(key for key in line if key not in FIRST)]
    shown = [key for key in keys if key not in LEADING and key not in CELERY_IDS]
    pairs = [f"{key}={_value(line[key])}" for key in shown]
    text = " ".join([str(line["timestamp"]), str(line["level"]), event, *pairs])
    traceback = str(line.get("exception") or "").splitlines()
    return "\n".join([text, *(f"  {_printable(part)}" for part in traceback)])


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _value(value: Any) -> str:
    text = "true" if value is True else "false" if value is False else str(value)
    plain = text and not any(char.isspace() or char in '="' or not char.isprintable() for char in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _name_foreign_logger(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A line of a library says which one spoke."""
    record = line.get("_record")
    if record is not None:
        line["logger"] = record.name
    return line


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
    mask_secrets,
    drop_nothings,
    drop_queries,
    mask_links,
]


def configure_structlog() -> None:
    """Send structlog's lines through the standard library, where LOGGING formats them."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            drop_health_requests,
            *SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logging_settings(*, log_format: str, level: str = "INFO") -> dict[str, Any]:
    """Django's LOGGING: everything to stdout in one shape. `log_format` is "json", else readable lines."""
    renderer = structlog.processors.JSONRenderer(ensure_ascii=False) if log_format == "json" else render_line
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                "foreign_pre_chain": [*SHARED, _name_foreign_logger, structlog.processors.format_exc_info],
            }
        },
        "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": sys.stdout, "formatter": "line"}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {name: {"level": library} for name, library in LIBRARY_LEVELS.items()}
        # gunicorn names handlers of its own for this one, unless told otherwise
        | {"gunicorn.error": {"level": "WARNING", "handlers": ["stdout"], "propagate": False}},
    }


def configure(settings: Mapping[str, Any]) -> None:
    """Apply Django's LOGGING in a process that Celery started, in place of Celery's own."""
    logging.config.dictConfig(dict(settings))
