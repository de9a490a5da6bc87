"""import_events: JSON Lines and CSV, line numbers, bad lines, and the same uids when a file comes again."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from events.import_files import LINE_BYTES
from events.models import Event, LogBase, Person
from projects.models import Project
from tests.events.capture import event, profile, properties, stored
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)
Write = Callable[..., Path]


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, *lines: Any) -> Path:
        """Lines as text, bytes as they are, anything else as JSON."""
        raw = [line if isinstance(line, bytes) else _text(line).encode() for line in lines]
        content = b"\n".join(raw) + b"\n"
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def _text(line: Any) -> str:
    return line if isinstance(line, str) else json.dumps(line)


def run(path: Path, project: Project, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, summary, and what was printed as errors."""
    out, errors, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command(
            "import_events", str(path), "--project", project.account_id, "--json", *options, stdout=out, stderr=errors
        )
    except SystemExit as end:
        status = int(end.code or 0)
    return status, json.loads(out.getvalue()), errors.getvalue()


def test_json_lines_are_imported(project: Project, write: Write) -> None:
    path = write("events.jsonl", event(data={"n": 1}), "", profile(Name="Asha"), event(data={"n": 2}))
    status, summary, errors = run(path, project)
    assert (status, errors) == (0, "")
    assert (summary["lines"], summary["processed"], summary["refused"]) == (3, 3, 0)
    assert properties(project) == [{"n": 1}, {"n": 2}]
    assert Person.objects.get().name == "Asha"


def test_a_bad_line_is_named_and_never_stops_the_file(project: Project, write: Write) -> None:
    path = write(
        "events.jsonl", event(), '{"broken', event(name=""), "", event(ts=1_795_000_000_000), b'"\xff"', "[]", event()
    )
    status, summary, errors = run(path, project)
    assert status == 1
    assert (summary["processed"], summary["refused"]) == (2, 5)
    assert [(bad["line"], bad["code"]) for bad in summary["errors"]] == [
        (2, 512),
        (3, 509),
        (5, 525),
        (6, 512),
        (7, 512),
    ]
    assert "line 5: Timestamp should be present in the Unix Epoch format. It is in milliseconds" in errors
    assert "line 6: The line is not valid UTF-8." in errors
    assert len(stored(project)) == 2


def test_a_file_of_many_steps_is_imported_whole_and_in_order(project: Project, write: Write) -> None:
    lines = [event(f"user-{number % 7}", data={"n": number}) for number in range(2_345)]
    lines[1_500]["evtName"] = ""
    status, summary, _ = run(write("events.jsonl.gz", *lines), project)
    assert (status, summary["processed"], summary["errors"][0]["line"]) == (1, 2_344, 1_501)
    numbers = [found["n"] for found in properties(project)]
    assert numbers == [number for number in range(2_345) if number != 1_500]
    assert len({row.tx_id for row in stored(project)}) == 3


def test_a_file_imported_again_brings_the_same_uids(project: Project, write: Write) -> None:
    path = write("events.jsonl", event(), event(), event(uid="order-1"))
    run(path, project)
    run(path, project)
    uids = [row.uid for row in stored(project)]
    assert uids[:3] == uids[3:]
    assert len(set(uids)) == 3


def test_uids_differ_between_projects(project: Project, write: Write) -> None:
    path, other = write("events.jsonl", event()), ProjectFactory()
    run(path, project)
    run(path, other)
    assert stored(project)[0].uid != stored(other)[0].uid


def test_history_counts_as_received_when_it_happened_if_asked(project: Project, write: Write) -> None:
    path = write("events.jsonl", event(ts=1_468_308_340))
    run(path, project)
    run(path, project, "--captured-at-event-time")
    now, then = Event.objects.order_by("id").values_list("received_at", flat=True)
    assert then == datetime(2016, 7, 12, 7, 25, 40, tzinfo=UTC)
    assert now > then


def test_csv_is_imported_by_its_header(project: Project, write: Write) -> None:
    path = write(
        "events.csv",
        "\ufefftype,identity,objectId,evtName,ts,evtData.Price,evtData.Name,evtData.Items,profileData.City",
        'event,asha,__d1,Charged,1468308340,59.90,"Chai ""kadak"", ☕","[{""n"": 1}]",',
        "event,,__d2,Searched,,,00123,,",
        "profile,asha,,,,,,,Pune",
    )
    assert run(path, project)[:2] == (0, {"lines": 3, "processed": 3, "refused": 0, "errors": [], "stopped": ""})
    assert properties(project) == [{"Price": 59.9, "Name": 'Chai "kadak", ☕', "Items": [{"n": 1}]}, {"Name": "00123"}]
    assert [(row.identity, row.clevertap_id) for row in stored(project)] == [("asha", "__d1"), (None, "__d2")]
    assert Person.objects.get(identity="asha").properties == {"City": "Pune"}


def test_csv_cells_may_hold_line_breaks_and_lines_are_counted_as_in_the_file(project: Project, write: Write) -> None:
    path = write(
        "events.csv.gz",
        "identity,evtName,evtData.Note",
        'asha,Searched,"two\nlines"',
        "asha,,x",
        "asha,Searched",
        b"asha,Searched,\xff",
        "asha,Searched,ok",
    )
    status, summary, errors = run(path, project)
    assert status == 1
    assert [bad["line"] for bad in summary["errors"]] == [4, 5, 6]
    assert "line 5: The line has 2 cells, the header 3." in errors
    assert properties(project) == [{"Note": "two\nlines"}, {"Note": "ok"}]


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["identity,event,evtName"], "a column “event”"),
        (["identity,identity"], "twice: identity"),
        ([""], "The file is empty"),
    ],
)
def test_a_wrong_header_is_named_and_nothing_is_imported(
    project: Project, write: Write, lines: list[str], error: str
) -> None:
    with pytest.raises(CommandError, match=error):
        run(write("events.csv", *lines), project)
    assert not Event.objects.exists()


def test_a_quote_left_open_costs_its_own_line_only(project: Project, write: Write) -> None:
    """Even in the last column, where the rest of the file would make one long, valid cell."""
    path = write(
        "events.csv",
        "identity,evtName,evtData.note",
        'asha,"Viewed,note',
        "ravi,Viewed,fine",
        'meera,Viewed,"two\nlines"',
        'asha,Viewed,"open',
        "ravi,Viewed,last",
    )
    status, summary, _ = run(path, project)
    assert status == 1
    assert [bad["line"] for bad in summary["errors"]] == [2, 6]
    assert properties(project) == [{"note": "fine"}, {"note": "two\nlines"}, {"note": "last"}]


def test_a_header_that_is_no_csv_is_named(project: Project, write: Write) -> None:
    with pytest.raises(CommandError, match="The header is not valid CSV"):
        run(write("events.csv", "identity,evtName\rasha,Viewed\r"), project)
    assert not stored(project)


def test_a_name_ending_in_capitals_tells_the_format_too(project: Project, write: Write) -> None:
    status, summary, errors = run(write("EVENTS.CSV", "identity,evtName", "asha,Viewed"), project)
    assert (status, summary["processed"], errors) == (0, 1, "")


def test_a_line_without_end_is_refused_without_filling_memory(project: Project, write: Write) -> None:
    path = write("events.jsonl", event(), b"x" * (3 * LINE_BYTES), event())
    status, summary, _ = run(path, project)
    assert (status, summary["processed"]) == (1, 2)
    assert [(bad["line"], bad["error"]) for bad in summary["errors"]] == [(2, "The line is longer than 4 MB.")]


def test_a_cut_off_gzip_file_keeps_what_could_be_read(project: Project, write: Write) -> None:
    path = write("events.jsonl.gz", *(event(data={"n": number, "pad": str(number) * 40}) for number in range(5_000)))
    path.write_bytes(path.read_bytes()[:-5_000])
    with pytest.raises(CommandError, match="cannot be read any further"):
        run(path, project)
    numbers = [found["n"] for found in properties(project)]
    assert 1_000 < len(numbers) < 5_000
    assert numbers == list(range(len(numbers)))


def test_only_the_first_errors_are_listed_but_all_are_counted(project: Project, write: Write) -> None:
    status, summary, errors = run(write("events.jsonl", *["x"] * 150), project)
    assert (status, summary["refused"], len(summary["errors"])) == (1, 150, 100)
    assert "… and 50 more refused lines" in errors


def test_unknown_files_and_projects_are_named(project: Project, write: Write, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no file"):
        run(tmp_path / "missing.jsonl", project)
    with pytest.raises(CommandError, match="no project with the account id NOPE"):
        call_command("import_events", str(write("events.jsonl", event())), "--project", "NOPE")


def test_an_import_stops_after_a_restored_dump(project: Project, write: Write) -> None:
    LogBase.objects.update(system_identifier=7)
    with pytest.raises(CommandError, match="rebase_positions"):
        run(write("events.jsonl", event()), project)


def test_the_summary_is_in_words_without_json(
    project: Project, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("import_events", str(write("events.jsonl", event())), "--project", project.account_id)
    assert capsys.readouterr().out == "1 records: 1 imported, 0 refused.\n"


def test_csv_that_python_writes_is_read(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["identity", "evtName", "evtData.Text"])
        writer.writeheader()
        writer.writerows({"identity": 42, "evtName": "Searched", "evtData.Text": text} for text in ("a,b", '"', "\r\n"))
    assert run(path, project)[0] == 0
    assert [found["Text"] for found in properties(project)] == ["a,b", '"', "\r\n"]
