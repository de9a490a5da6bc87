"""Files for people to download."""

from collections.abc import Iterable

from django.http import StreamingHttpResponse


def csv_file(lines: Iterable[str], name: str) -> StreamingHttpResponse:
    """Stream `lines` as `name`.csv in UTF-8."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)
