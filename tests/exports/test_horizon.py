"""Who holds the horizon up is named, as nothing behind it can be exported."""

from structlog.testing import capture_logs

from events import positions
from exports import tick
from tests.exports.transactions import open_writer


def test_the_oldest_writing_transaction_is_found_with_its_pid(project):
    assert positions.oldest_writer() is None
    with open_writer() as late:
        found = positions.oldest_writer()
        assert found is not None
        assert found.pid == late.info.backend_pid
        assert found.seconds >= 0
    assert positions.oldest_writer() is None


def test_an_old_horizon_is_logged_with_the_blocking_pid_once_a_minute(project):
    with open_writer() as late, capture_logs() as lines:
        pid = late.info.backend_pid
        tick.watch_horizon(old_after=3_600.0)
        assert lines == []
        tick.watch_horizon(old_after=0.0)
        tick.watch_horizon(old_after=0.0)
    assert [(line["event"], line["pid"]) for line in lines] == [("horizon.old", pid)]
