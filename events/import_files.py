"""Files of upload records, read as a stream: JSON Lines and CSV, gzip or not. A bad line is handed on, not raised."""

import csv
import gzip
import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from events import json_text
from events.refusals import STRUCTURE, Refusal

LINE_BYTES = 4 * 2**20
RECORD_COLUMNS = frozenset({"type", "identity", "objectId", "FBID", "GPID", "evtName", "ts", "uid"})
GROUPS = ("evtData", "profileData")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")


class Line(NamedTuple):
    """`record` is an upload record, or the Refusal of a line that is none. `raw` tells lines apart."""

    number: int
    record: Any
    raw: bytes


class BadFile(Exception):
    """The file as a whole cannot be read, or not any further."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file's text, and the file itself, whose tell() shows how far reading has come. Raises BadFile."""
    try:
        with path.open("rb") as file:
            yield (gzip.GzipFile(fileobj=file) if path.suffix.lower() == ".gz" else file), file  # type: ignore[misc]
    except FileNotFoundError:
        raise BadFile(f"There is no file {path}.") from None
    except (EOFError, zlib.error, OSError) as error:
        raise BadFile(f"{path} cannot be read any further: {error}.") from None


def read_lines(path: Path, text: IO[bytes]) -> Iterator[Line]:
    """Each record of the file with its line number; CSV when the name ends in .csv or .csv.gz, else JSON Lines."""
    return _csv_lines(text) if path.name.lower().removesuffix(".gz").endswith(".csv") else _json_lines(text)


def _json_lines(text: IO[bytes]) -> Iterator[Line]:
    for number, raw in _raw_lines(text):
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if len(raw) > LINE_BYTES:
            yield Line(number, Refusal(STRUCTURE, f"The line is longer than {LINE_BYTES // 2**20} MB."), b"")
        elif raw.strip():
            yield Line(number, _record(raw), raw.strip())


def _raw_lines(text: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines from 1; of one that is too long just enough to see that, so that memory stays flat."""
    number = 0
    while raw := text.readline(LINE_BYTES + 1):
        number += 1
        yield number, raw
        while len(raw) > LINE_BYTES and not raw.endswith(b"\n"):
            raw = text.readline(LINE_BYTES + 1)


def _record(raw: bytes) -> Any:
    try:
        return json_text.parse(raw)
    except ValueError as error:
        return Refusal(STRUCTURE, f"The line is {error}.")


class _Physical:
    """A file's lines for the CSV reader, with a way to give back what a quote that is never closed has swallowed."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._back: deque[str] = deque()
        self._taken: list[str] = []
        self.number = 0  # of the line taken last

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self._taken.append(line)
        self.number += 1
        return line

    def begin(self) -> int:
        """A record begins; the number of its first line."""
        self._taken.clear()
        return self.number + 1

    def keep_first(self) -> None:
        """Only the record's first line is bad: the lines after it are read again, each on its own."""
        rest = self._taken[1:]
        self._back.extendleft(reversed(rest))
        self.number -= len(rest)


def _csv_lines(text: IO[bytes]) -> Iterator[Line]:
    # Not TextIOWrapper: it would read ahead, and an error in gzip would come before the lines in front of it.
    lines = _Physical(raw.decode("utf-8", "surrogateescape") for _, raw in _raw_lines(text))
    rows = csv.reader(lines, strict=True)  # else a quote left open in the last column takes the rest of the file along
    header = _header(rows)
    while True:
        number = lines.begin()
        record, raw = _next_record(rows, header)
        if record is None:
            return
        if isinstance(record, Refusal):
            lines.keep_first()
        if raw or isinstance(record, Refusal):
            yield Line(number, record, raw)


def _header(rows: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip().removeprefix("\ufeff") for name in next(rows, [])]
    except csv.Error as error:
        raise BadFile(
            f"The header is not valid CSV ({error}). Save the file as comma-separated UTF-8 text, one record a line."
        ) from None
    _check_header(header)
    return header


def _next_record(rows: Iterator[list[str]], header: Sequence[str]) -> tuple[Any, bytes]:
    """(record or Refusal, what tells it apart); (None, b"") at the end, and an empty record for an empty line."""
    try:
        row = next(rows)
    except StopIteration:
        return None, b""
    except csv.Error as error:
        return Refusal(STRUCTURE, f"The line is not valid CSV: {error}."), b""
    if not row:
        return {}, b""
    return _row_record(header, row), "\x1f".join(row).encode("utf-8", "surrogateescape")


def _check_header(header: Sequence[str]) -> None:
    if not header:
        raise BadFile("The file is empty: a CSV file begins with a header, type,identity,objectId,evtName,ts,evtData.…")
    for name in header:
        if name not in RECORD_COLUMNS and not any(name.startswith(f"{group}.") for group in GROUPS):
            raise BadFile(
                f"The header has a column “{name}”. Columns are {', '.join(sorted(RECORD_COLUMNS))}, "
                "evtData.<property> and profileData.<property>."
            )
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise BadFile(f"The header has these columns twice: {', '.join(twice)}.")


def _row_record(header: Sequence[str], row: Sequence[str]) -> Any:
    if len(row) != len(header):
        return Refusal(STRUCTURE, f"The line has {len(row)} cells, the header {len(header)}.")
    if any(_NOT_UTF_8.search(cell) for cell in row):
        return Refusal(STRUCTURE, "The line is not valid UTF-8.")
    record: dict[str, Any] = {"type": "event"}
    for name, cell in zip(header, row, strict=True):
        group, dot, key = name.partition(".")
        if cell == "":
            continue
        if dot:
            record.setdefault(group, {})[key] = _cell(cell)
        else:
            record[name] = cell
    if record["type"] == "profile":
        record.setdefault("profileData", {})
    return record


def _cell(cell: str) -> Any:
    """A property's value: numbers as they are usually written, true, false, null, lists and objects; else text."""
    if _NUMBER.fullmatch(cell) or cell in ("true", "false", "null") or (cell[0] in "[{" and cell[-1] in "]}"):
        try:
            return json_text.parse(cell.encode())
        except ValueError:
            return cell
    return cell
