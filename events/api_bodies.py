"""Reading the body of a CleverTap call: size, compression, JSON, and the list of records in it."""

import zlib
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from events import json_text
from events.api_calls import CallFailed

MAX_RECORDS = 1_000
GZIP_WINDOW = 16 + zlib.MAX_WBITS


def read_records(request: HttpRequest) -> list[Any]:
    """The records under "d", up to MAX_RECORDS. Raises CallFailed."""
    body = read_json(request)
    records = body.get("d") if isinstance(body, dict) else None
    if not isinstance(records, list):
        raise CallFailed(400, 'The body must be an object whose "d" is a list of records: {"d": [...]}.')
    if len(records) > MAX_RECORDS:
        raise CallFailed(
            400, f'"d" has {len(records)} records; {MAX_RECORDS} is the most. Nothing was stored: send several calls.'
        )
    return records


def read_json(request: HttpRequest) -> Any:
    """The body as it was sent. Raises CallFailed."""
    try:
        return json_text.parse(_plain_body(request))
    except ValueError as error:
        raise CallFailed(400, f"The body is {error}. Nothing was stored.") from None


def _plain_body(request: HttpRequest) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = _sent_body(request, limit)
    encoding = request.headers.get("Content-Encoding", "").lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise CallFailed(415, f"The Content-Encoding “{encoding}” is not read here. Send gzip or plain JSON.")
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    try:
        plain = unpacker.decompress(body, limit)
    except zlib.error:
        raise CallFailed(400, "The body is said to be gzip, but it is not.") from None
    if unpacker.unconsumed_tail:
        raise _too_large(limit)
    if not unpacker.eof:
        raise CallFailed(400, "The gzip body is cut off. Nothing was stored.")
    return plain


def _sent_body(request: HttpRequest, limit: int) -> bytes:
    try:
        if not request.META.get("CONTENT_LENGTH") and request.META.get("wsgi.input_terminated"):
            return _chunked_body(request, limit)
        return request.body
    except RequestDataTooBig:
        raise _too_large(limit) from None
    except (UnreadablePostError, OSError):
        raise CallFailed(408, "The whole body was not here in time. Nothing was stored: send it again.") from None


def _chunked_body(request: HttpRequest, limit: int) -> bytes:
    """A body of unknown length (Transfer-Encoding: chunked). Django takes it for empty; the server knows its end."""
    body: bytes = request.META["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        raise RequestDataTooBig
    return body


def _too_large(limit: int) -> CallFailed:
    return CallFailed(
        413, f"The body is larger than {limit // 2**20} MB. Nothing was stored: send fewer records per call."
    )
