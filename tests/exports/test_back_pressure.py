"""When the partner is slow, records wait in the log and not in memory: few of them are read ahead."""

import time
from collections.abc import Sequence
from contextlib import closing
from operator import attrgetter
from typing import Any

import pytest

from exports import runs
from exports.delivery.ahead import ahead
from exports.delivery.batches import PAGE_ROWS, BatchReader
from exports.models import Shard
from partners.contract import Contacts, Encoder, Limits
from tests.exports.conftest import flow, now

ROWS = 20_000
RECORDS = 1_000
READ_AHEAD = 2 * PAGE_ROWS  # the page whose batches are sent, and the next one


class CountingEncoder:
    """The adapter's own encoder; counts what it was given."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.count = 0

    def encode(self, records: Sequence[Any], contacts: Contacts) -> Any:
        self.count += len(records)
        return self._encoder.encode(records, contacts)


@pytest.fixture
def waiting(capture, live) -> Shard:
    """A live shard with a long backlog."""
    export = flow(live())
    capture(ROWS)
    return Shard.objects.select_related("run__export__project", "run__export__integration").get(run__export=export)


def test_at_most_a_few_pages_are_in_memory_however_much_waits(waiting: Shard) -> None:
    run = waiting.run
    options = runs.encode_options(run.settings, now=now())
    encoder = CountingEncoder(run.export.integration.adapter.encoder(options))
    reader = BatchReader(run, waiting, encoder, Limits(RECORDS, 10**7))
    sent = 0
    with closing(ahead(reader.batches(), is_last=attrgetter("last"), name="encoder")) as batches:
        for batch in batches:
            if not sent:
                time.sleep(1)  # enough to encode all of it, if nothing held the reader back
            assert encoder.count - sent <= READ_AHEAD
            sent += len(batch.rows)
    assert (sent, encoder.count) == (ROWS, ROWS)
