"""Pages, answers and static files leave compressed for whoever takes gzip."""

import os
from http import HTTPStatus
from wsgiref.headers import Headers

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressionMiddleware(GZipMiddleware):
    """Django's, which guards against BREACH. An answer without a body stays so: it would get an empty gzip file."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.status_code == HTTPStatus.NOT_MODIFIED or request.method == "HEAD":
            return response
        return super().process_response(request, response)


def add_weak_etag(headers: Headers, path: str, _url: str) -> None:
    """Compressing makes a strong ETag weak, and WhiteNoise answers 304 to the very ETag that it knows only."""
    found = os.stat(path)  # noqa: PTH116 WhiteNoise gives a text
    headers["ETag"] = f'W/"{found.st_mtime_ns:x}-{found.st_size:x}"'
