"""Amplitude's answers, with the bodies that it documents (Amplitude, HTTP V2 and Batch Event Upload)."""

from collections.abc import Mapping, Sequence
from typing import Any

from amplitude_client.sandbox.wire import Reply

MISSING_FIELD = "Request missing required field"
INVALID_FIELDS = "Invalid field values on some events"
# Undocumented; seen by users of the API.
INVALID_ID_LENGTHS = "Invalid id length for user_id or device_id"
_SERVER_ERRORS = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


def accepted(events: int, payload_bytes: int, now_ms: int) -> Reply:
    body = {
        "code": 200,
        "events_ingested": events,
        "payload_size_bytes": payload_bytes,
        "server_upload_time": now_ms,
    }
    return Reply.of(200, body)


def bad_request(error: str, **more: Any) -> Reply:
    return Reply.of(400, {"code": 400, "error": error, **more})


def invalid_key(api_key: object) -> Reply:
    """Amplitude echoes the key."""
    return bad_request(f"Invalid API key: {api_key}")


def html_error(status: int) -> Reply:
    """What the load balancer says in Amplitude's place."""
    title = f"{status} {_SERVER_ERRORS.get(status, 'Bad Request')}"
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
    return Reply(status, page.encode(), "text/html")


def forbidden() -> Reply:
    return Reply.of(403, {"code": 403, "error": "Forbidden"})


def too_large() -> Reply:
    return Reply.of(413, {"code": 413, "error": "Payload too large"})


def server_error(status: int) -> Reply:
    return Reply.of(status, {"code": status, "error": _SERVER_ERRORS.get(status, "Error")})


def not_json() -> Reply:
    return Reply(200, b"<html><body>It works!</body></html>", "text/html")


def redirect(location: str) -> Reply:
    return Reply(302, b"", "text/html", {"Location": location})


def index_maps(maps: Mapping[str, Mapping[str, Sequence[int]]]) -> Reply:
    """`maps` holds at least one of the three documented or observed maps of field → indexes."""
    if "events_with_missing_fields" in maps:
        error = MISSING_FIELD
    elif "events_with_invalid_fields" in maps:
        error = INVALID_FIELDS
    else:
        error = INVALID_ID_LENGTHS
    return bad_request(error, **maps)


def throttled_as_a_whole(eps: int) -> Reply:
    return Reply.of(429, {"code": 429, "error": "Too many requests for some devices and users", "eps_threshold": eps})


def throttled(named: Mapping[str, Any], *, eps: int) -> Reply:
    body = {
        "code": 429,
        "error": "Too many requests for some devices and users",
        "eps_threshold": eps,
        "throttled_devices": {},
        "throttled_users": {},
        "exceeded_daily_quota_users": {},
        "exceeded_daily_quota_devices": {},
        "throttled_events": [],
    }
    return Reply.of(429, {**body, **named})


def silenced(named: Mapping[str, Any], *, eps: int) -> Reply:
    body = {
        "code": 400,
        "eps_threshold": eps,
        "error": "Events silenced for device_id",
        "exceeded_daily_quota_devices": {},
        "silenced_devices": [],
        "silenced_events": [],
        "throttled_devices": {},
        "throttled_events": [],
    }
    return Reply.of(400, {**body, **named})
