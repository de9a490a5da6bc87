"""Files for people to download."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse

# What a spreadsheet takes for the begin of a formula (OWASP, CSV injection), the wide forms of East Asia too.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
CHUNK = 2_000


def csv_file(lines: Iterable[str], name: str) -> StreamingHttpResponse:
    """Stream `lines` as `name`.csv in UTF-8. `name` is the portal's own word, never a person's."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def csv_chunks(header: Sequence[str], chunks: Iterable[Iterable[Sequence[Any]]]) -> Iterator[str]:
    """A header, then the lines of one chunk of rows at a time; texts are safe to open in a spreadsheet."""
    writer = csv.writer(_Lines())
    yield writer.writerow(header)
    for chunk in chunks:
        yield "".join(writer.writerow(map(safe_cell, row)) for row in chunk)


def chunked(rows: Any) -> Iterator[list[Any]]:
    """The rows of a queryset, oldest first, CHUNK at a time: read by key, so memory does not grow with them."""
    after = 0
    while chunk := list(rows.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield chunk
        after = chunk[-1].pk


def safe_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA) else value


class _Lines:
    """csv wants something to write to; this hands each line back."""

    def write(self, line: str) -> str:
        return line
